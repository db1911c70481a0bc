// Small passes between the large ones.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dpll/core/tensor.h"
#include "view_rows.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// to = first + second (+ to, with accumulate); second may be null. All of one type.
void add_gradients(void* to, const void* first, const void* second, bool accumulate, DType type,
                   std::int64_t elements, Stream stream);

// sums [C] = column sums of values [rows, C], in a fixed order. counters: channel_counters({1, rows, C}), see
// last_block.cuh.
std::size_t column_sums_workspace(std::int64_t rows, int channels);
void column_sums(float* sums, const void* values, DType type, std::int64_t rows, int channels,
                 void* workspace, unsigned* counters, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
