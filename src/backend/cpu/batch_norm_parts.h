// Batch norm's arithmetic on a part of a view, for callers that cut the work themselves because they have
// more to do with a part while it is in the cache. A part is `rows` consecutive rows of one view, [rows, C],
// handled by the calling thread alone; scale, shift, mean, ... are the view's, [C]. See batch_norm.h for the
// formulas.
//
// What the parts of a batch add to its sums goes to [V, parts of a view, 2, C], one [2, C] written by each;
// all parts of a view have part_rows rows, but for its last, which may have fewer. Putting them together uses
// all threads and overwrites them.
#pragma once

#include <algorithm>

#include "backend/cpu/batch_norm.h"
#include "backend/cpu/parallel.h"

namespace dpll::cpu {

inline std::int64_t parts_of_view(const BnGeometry& geometry, std::int64_t part_rows) {
  return (geometry.rows + part_rows - 1) / part_rows;
}

// How many rows a part should have where the caller does not mind.
std::int64_t usual_part_rows(int channels);

// What one thread handles: `rows` rows of view `view`, beginning at `element` of [V, n, C].
struct Part {
  int view;
  std::int64_t element, rows;
};

// Runs body(part, index) for all parts, `index` counting those of a view after those of the one before.
template <typename Body>
void each_part(const BnGeometry& geometry, const Body& body) {
  const std::int64_t part_rows = usual_part_rows(geometry.channels);
  const std::int64_t count = parts_of_view(geometry, part_rows);
  parallel_chunks(geometry.views * count, 1, [&](std::int64_t i, std::int64_t) {
    const std::int64_t first_row = i % count * part_rows;
    const Part part{static_cast<int>(i / count), (i / count * geometry.rows + first_row) * geometry.channels,
                    std::min(part_rows, geometry.rows - first_row)};
    body(part, i);
  });
}

// y += residual unless that is null; sums: mean and centred sum of squares of y.
void stats_of_part(double* sums, float* y, const float* residual, std::int64_t rows, int channels);
void combine_stats(float* stats, double* parts, std::int64_t part_rows, const BnGeometry& geometry);

void bn_relu_apply_to_part(float* a, const float* x, const float* scale, const float* shift,
                           std::int64_t rows, int channels);

// sums: of d_z and of d_z * (x - mean).
void bn_relu_backward_sums_of_part(double* sums, const float* d_a, const float* x, const float* mean,
                                   const float* scale, const float* shift, std::int64_t rows, int channels);
void combine_backward_sums(float* sums, float* d_gamma, float* d_beta, double* parts, std::int64_t part_rows,
                           const float* stats, const BnGeometry& geometry);

// stats and sums: the view's, [2, C]; view_rows: how many rows they are of.
void bn_relu_backward_apply_to_part(float* d_x, Accumulate accumulate, const float* d_a, const float* x,
                                    const float* stats, const float* scale, const float* shift,
                                    const float* sums, std::int64_t view_rows, std::int64_t rows,
                                    int channels);

}  // namespace dpll::cpu
