#include "backend/cpu/column_sums.h"

#include <algorithm>

#include "backend/cpu/parallel.h"

namespace dpll::cpu {
namespace {

constexpr std::int64_t kBlockRows = 64;
constexpr std::int64_t kColumnGrain = 512;

DPLL_VECTOR_CLONES void add_rows(float* __restrict sums, const float* __restrict x, std::int64_t rows,
                                 std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r, x += columns) {
    for (std::int64_t c = 0; c < columns; ++c) sums[c] += x[c];
  }
}

std::int64_t blocks_of(std::int64_t rows) {
  return (rows + kBlockRows - 1) / kBlockRows;
}

}  // namespace

std::size_t column_sums_workspace_bytes(std::int64_t rows, std::int64_t columns) {
  return static_cast<std::size_t>(blocks_of(rows) * columns) * sizeof(float);
}

void column_sums(float* sums, const float* x, std::int64_t rows, std::int64_t columns, void* workspace) {
  auto* parts = static_cast<float*>(workspace);  // [blocks, columns]
  parallel_chunks(rows, kBlockRows, [&](std::int64_t begin, std::int64_t end) {
    float* part = parts + begin / kBlockRows * columns;
    std::fill_n(part, columns, 0.0F);
    add_rows(part, x + begin * columns, end - begin, columns);
  });
  parallel_chunks(columns, kColumnGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      double sum = 0;
      for (std::int64_t b = 0; b < blocks_of(rows); ++b) sum += parts[b * columns + c];
      sums[c] = static_cast<float>(sum);
    }
  });
}

}  // namespace dpll::cpu
