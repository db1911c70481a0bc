// Sums over the rows of a matrix: gradients of biases.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dpll::cpu {

std::size_t column_sums_workspace_bytes(std::int64_t rows, std::int64_t columns);

// sums [columns] = the sum of the rows of x [rows, columns]. Blocks of rows are summed in float32, the blocks
// in double; the same for every thread count.
void column_sums(float* sums, const float* x, std::int64_t rows, std::int64_t columns, void* workspace);

}  // namespace dpll::cpu
