// The arithmetic of batch norm that forward and backward share.
#pragma once

#include "batch_norm.h"
#include "channel_rows.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {

// How many rows of a view its statistics are of.
__device__ inline double rows_of_stats(const BatchNormParameters& bn, const ViewRows& shape) {
  return static_cast<double>(bn.rows_of_ranks > 0 ? bn.rows_of_ranks : shape.rows);
}

// Of one channel in one view. By differences from the mean: x * scale + shift would cancel where |mean| is
// large beside the deviation.
struct ChannelNorm {
  float mean, scale, beta, inverse_deviation;

  __device__ ChannelNorm(const BatchNormParameters& bn, const ViewRows& shape, int view, int channel) {
    const bool running = bn.stats == nullptr;
    const float* const of_view = running ? nullptr : bn.stats + std::int64_t{view} * 2 * shape.channels;
    const float variance = running ? bn.running_var[channel] : of_view[shape.channels + channel];
    mean = running ? bn.running_mean[channel] : of_view[channel];
    inverse_deviation = 1.0F / sqrtf(variance + static_cast<float>(kBatchNormEpsilon));
    scale = bn.gamma[channel] * inverse_deviation;
    beta = bn.beta[channel];
  }
  __device__ float operator()(float x) const { return fmaf(x - mean, scale, beta); }
};

// Of kVec channels in one view.
template <int kVec>
struct Normaliser {
  Vector<float, kVec> mean, scale, beta;

  __device__ float operator()(int i, float x) const { return fmaf(x - mean.v[i], scale.v[i], beta.v[i]); }
};

// Dynamic shared memory that shared_normaliser() takes for a batch norm.
template <int kVec>
std::size_t normaliser_bytes(const ChannelTiling& tiling) {
  return 3 * static_cast<std::size_t>(tiling.lanes * kVec) * sizeof(float);
}

// The normaliser of a thread's channels. The threads of a block compute each channel's numbers once for all
// of them, in `shared`. Every thread of the block must call it; those without channels get nothing of
// meaning.
template <int kVec>
__device__ Normaliser<kVec> shared_normaliser(const BatchNormParameters& bn, const ViewRows& shape,
                                              const ChannelTiling& tiling, const ChannelThread<kVec>& thread,
                                              float* shared) {
  const int channels = tiling.lanes * kVec, first = static_cast<int>(blockIdx.z) * channels;
  for (int c = static_cast<int>(threadIdx.x); c < channels; c += static_cast<int>(blockDim.x)) {
    if (first + c >= shape.channels) break;
    const ChannelNorm norm(bn, shape, thread.view, first + c);
    shared[c] = norm.mean;
    shared[channels + c] = norm.scale;
    shared[2 * channels + c] = norm.beta;
  }
  __syncthreads();
  const float* const own = shared + thread.lane * kVec;
  return {load_vector<kVec>(own), load_vector<kVec>(own + channels), load_vector<kVec>(own + 2 * channels)};
}

// NaN stays NaN.
__device__ inline float relu(float z) {
  return z < 0 ? 0.0F : z;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
