// The arithmetic of batch norm that forward and backward share.
#pragma once

#include "batch_norm.h"
#include "channel_rows.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Of kVec channels in one view. By differences from the mean: x * scale + shift would cancel where |mean| is
// large beside the deviation.
template <int kVec>
struct Normaliser {
  float mean[kVec] = {}, scale[kVec] = {}, beta[kVec] = {}, inverse_deviation[kVec] = {};

  __device__ Normaliser(const BatchNormParameters& bn, const ViewRows& shape, int view, int channel) {
    for (int i = 0; i < kVec; ++i) {
      const int c = channel + i;
      const float var = bn.stats == nullptr ? bn.running_var[c]
                                            : bn.stats[(std::int64_t{view} * 2 + 1) * shape.channels + c];
      mean[i] =
          bn.stats == nullptr ? bn.running_mean[c] : bn.stats[std::int64_t{view} * 2 * shape.channels + c];
      inverse_deviation[i] = 1.0F / sqrtf(var + static_cast<float>(kBatchNormEpsilon));
      scale[i] = bn.gamma[c] * inverse_deviation[i];
      beta[i] = bn.beta[c];
    }
  }
  __device__ Normaliser() {}

  __device__ float operator()(int i, float x) const { return fmaf(x - mean[i], scale[i], beta[i]); }
};

// NaN stays NaN.
__device__ inline float relu(float z) {
  return z < 0 ? 0.0F : z;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
