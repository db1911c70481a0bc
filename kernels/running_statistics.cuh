// The running statistics of a batch norm in training, as forward leaves them.
#pragma once

#include "batch_norm.h"
#include "device.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Of kVec channels: one update a view, in view order. `shape` is that of x.
template <int kVec>
__device__ void update_running(const BatchNormParameters& bn, const ViewRows& shape, int channel) {
  const auto n = static_cast<double>(shape.rows);
  const double unbiased = n / (n > 1 ? n - 1 : 1.0);
  for (int i = 0; i < kVec; ++i) {
    const int c = channel + i;
    double mean = bn.running_mean[c], var = bn.running_var[c];
    for (int view = 0; view < shape.views; ++view) {
      const float* const stats = bn.stats + std::int64_t{view} * 2 * shape.channels;
      mean += kBatchNormMomentum * (stats[c] - mean);
      var += kBatchNormMomentum * (unbiased * stats[shape.channels + c] - var);
    }
    bn.running_mean[c] = static_cast<float>(mean);
    bn.running_var[c] = static_cast<float>(var);
  }
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
