// The pieces of batch norm that preact_conv and bn_relu_pool share on the CPU. x is [V, n, C]: V views of n =
// batch*H*W rows of C channels. Work is cut at fixed places that do not depend on the number of threads, and
// partial sums are combined in a fixed order, so results are the same for every thread count.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "dpll/ops/common.h"

namespace dpll::cpu {

struct BnGeometry {
  int views = 1;
  std::int64_t rows = 1;  // a view's rows
  int channels = 1;
  std::int64_t all_rows = 0;  // a view's rows on all ranks; 0: `rows`
  Ranks* ranks = nullptr;

  std::int64_t counted() const { return ranks != nullptr ? all_rows : rows; }
};

// Of `rows` rows a sample.
inline BnGeometry bn_geometry(int views, int batch, std::int64_t rows, int channels,
                              const BatchShare& share) {
  return {views, batch * rows, channels, share.total_of(batch) * rows, share.ranks};
}

// Bytes of workspace that view_stats() and bn_relu_backward_sums() need.
std::size_t bn_workspace_bytes(const BnGeometry& geometry);

// stats [V, 2, C] = mean and biased variance of y, of all ranks. With a residual, y += residual happens in
// the same pass first. Accurate to float32 rounding however large |mean| / sigma is: centred sums per block,
// combined in double.
void view_stats(float* stats, float* y, const float* residual, const BnGeometry& geometry, void* workspace);

// scale, shift [V, C] with z = x * scale + shift. Training: from `stats`, and the running statistics are
// updated in view order. Evaluation (stats == nullptr): from the running statistics, the same for each view.
void batch_norm_prepare(float* scale, float* shift, const BatchNorm& bn, const float* stats,
                        const BnGeometry& geometry);

// a = max(0, x * scale + shift); a may be x.
void bn_relu_apply(float* a, const float* x, const float* scale, const float* shift,
                   const BnGeometry& geometry);

// With d_z = d_a where x * scale + shift > 0, else 0, and xhat = (x - mean) / sqrt(var + eps):
// sums [V, 2, C] = sum d_z and sum d_z * xhat over a view's rows on all ranks; d_gamma, d_beta [C] their
// totals over the views and this rank's rows.
void bn_relu_backward_sums(float* sums, float* d_gamma, float* d_beta, const float* d_a, const float* x,
                           const float* stats, const float* scale, const float* shift,
                           const BnGeometry& geometry, void* workspace);

// 1 / sqrt(var + eps)
inline double inverse_sigma(float var) {
  return 1.0 / std::sqrt(static_cast<double>(var) + kBatchNormEpsilon);
}

// What the statistics' dependence on x adds to d_x = scale * d_z + slope * (x - mean) + offset; sum0 and sum1
// are the channel's sums from above.
struct BnGradient {
  float slope, offset;
};
inline BnGradient bn_gradient(float scale, float var, float sum0, float sum1, std::int64_t rows) {
  const double per_row = -static_cast<double>(scale) / static_cast<double>(rows);
  return {static_cast<float>(per_row * inverse_sigma(var) * sum1), static_cast<float>(per_row * sum0)};
}

// d_x (+)= scale * (d_z - sums0 / n - xhat * sums1 / n). d_x may be d_a when not accumulating.
void bn_relu_backward_apply(float* d_x, Accumulate accumulate, const float* d_a, const float* x,
                            const float* stats, const float* scale, const float* shift, const float* sums,
                            const BnGeometry& geometry);

}  // namespace dpll::cpu
