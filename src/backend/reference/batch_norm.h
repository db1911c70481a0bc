// Batch norm as preact_conv, bn_relu_pool and linear need it. Activations are [V, n, C]: V views of n =
// batch*H*W values per channel.
#pragma once

#include <cstdint>
#include <vector>

#include "dpll/ops/common.h"

namespace dpll::reference {

struct BnGeometry {
  int views = 1;
  std::int64_t rows = 1;  // n, of this rank
  int channels = 1;
  std::int64_t all_rows = 0;  // of all ranks
  Ranks* ranks = nullptr;

  std::int64_t counted() const { return ranks != nullptr ? all_rows : rows; }
};

// Of `rows` rows a sample.
inline BnGeometry bn_geometry(int views, int batch, std::int64_t rows, int channels,
                              const BatchShare& share) {
  return {views, batch * rows, channels, share.total_of(batch) * rows, share.ranks};
}

// stats [V, 2, C] = mean and biased variance of y, of all ranks.
void view_stats(double* stats, const double* y, const BnGeometry& geometry);

// The mean and variance [V, 2, C] to normalise with: x_stats in training, the running ones in evaluation.
std::vector<double> normalising_stats(Mode mode, const BatchNorm& bn, const Tensor& x_stats,
                                      const BnGeometry& geometry);

// The running statistics after one forward pass per view, in view order.
void update_running_stats(const BatchNorm& bn, const std::vector<double>& stats, const BnGeometry& geometry);

// z [V, n, C] = gamma * (x - mean) / sqrt(var + eps) + beta.
void batch_norm(double* z, const double* x, const std::vector<double>& stats, const BatchNorm& bn,
                const BnGeometry& geometry);

// d_x (added to with Accumulate::yes), d_gamma and d_beta of training-mode batch norm, mean and variance
// depending on x.
void batch_norm_backward(double* d_x, Accumulate accumulate, const BatchNorm& bn, const double* d_z,
                         const double* x, const std::vector<double>& stats, const BnGeometry& geometry);

// NaN stays NaN, so that a broken value cannot vanish in an activation.
inline double relu(double z) {
  return z < 0 ? 0.0 : z;
}

}  // namespace dpll::reference
