// The running statistics of a batch norm in training, as forward leaves them. A block of its own updates
// those of its channels beside the blocks that work on rows, so that nothing waits for it.
#pragma once

#include "normalise.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Of one channel: one update a view, in view order. `shape` is that of x.
__device__ inline void update_running(const BatchNormParameters& bn, const ViewRows& shape, int channel) {
  const double n = rows_of_stats(bn, shape);
  const double unbiased = n / (n > 1 ? n - 1 : 1.0);
  double mean = bn.running_mean[channel], var = bn.running_var[channel];
  for (int view = 0; view < shape.views; ++view) {
    const float* const stats = bn.stats + std::int64_t{view} * 2 * shape.channels;
    mean += kBatchNormMomentum * (stats[channel] - mean);
    var += kBatchNormMomentum * (unbiased * stats[shape.channels + channel] - var);
  }
  bn.running_mean[channel] = static_cast<float>(mean);
  bn.running_var[channel] = static_cast<float>(var);
}

// In training a grid has a row of blocks more, the first, which begins with the others: that of view 0
// updates.
inline LaunchShape with_running_block(LaunchShape shape, bool training) {
  shape.blocks.x += training ? 1 : 0;
  return shape;
}
__device__ inline bool is_running_block(bool training) {
  return training && blockIdx.x == 0;
}
__device__ inline unsigned row_block_of(bool training) {
  return blockIdx.x - (training ? 1 : 0);
}

template <int kVec>
__device__ void update_running_of_block(const BatchNormParameters& bn, const ViewRows& shape,
                                        const ChannelTiling& tiling) {
  if (blockIdx.y != 0) return;
  const int channels = tiling.lanes * kVec, first = static_cast<int>(blockIdx.z) * channels;
  for (int c = static_cast<int>(threadIdx.x); c < channels; c += static_cast<int>(blockDim.x)) {
    if (first + c < shape.channels) update_running(bn, shape, first + c);
  }
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
