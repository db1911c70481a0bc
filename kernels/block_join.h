// Where the two paths of a residual block join, per view, forward and backward:
//   z = fma(x - mean, gamma / sqrt(var + eps), beta) + s,  s a tensor or normalised likewise;  y = relu(z)
// Both passes compute z by the same function, so the mask of ReLU is the same in both and need not be stored.
// Source: the contract dpll/ops/bn_relu_pool.h.
#pragma once

#include <cstddef>

#include "batch_norm.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct BlockJoinForwardCall {
  DType type = DType::f32;
  ViewRows shape;  // of x, s and y
  void* y = nullptr;
  const void *x = nullptr, *s = nullptr;
  BatchNormParameters bn;
  bool normalised = false;  // s has a batch norm of its own:
  BatchNormParameters s_bn = {};
};

// In training also updates the running statistics, once a view, in view order.
void block_join_forward(const BlockJoinForwardCall& call, Stream stream);

struct BlockJoinBackwardCall {
  DType type = DType::f32;
  ViewRows shape;
  void* d_x = nullptr;
  void* d_s = nullptr;                          // may be d_y
  float *d_gamma = nullptr, *d_beta = nullptr;  // [C]
  const void *d_y = nullptr, *x = nullptr, *s = nullptr;
  BatchNormParameters bn;
  bool normalised = false;
  BatchNormParameters s_bn = {};
  float *s_d_gamma = nullptr, *s_d_beta = nullptr;
  void* workspace = nullptr;
  unsigned* counters = nullptr;  // channel_counters(shape), see last_block.cuh
  ShareSums share = {};          // as of BatchNormBackwardCall
};

std::size_t block_join_backward_workspace(const ViewRows& shape);
void block_join_backward(const BlockJoinBackwardCall& call, Stream stream);

// Shortcuts that take every second pixel and pad the channels: [images, height, width, channels] of x, and s,
// which has `pad` channels of zeros in front of its own.
struct SubsampledShape {
  std::int64_t images = 1;
  int height = 1, width = 1, channels = 1;
  int s_height = 1, s_width = 1, s_channels = 1, pad = 0;
};
void spread_shortcut(void* to, const void* s, const SubsampledShape& shape, DType type, Stream stream);
void gather_shortcut(void* d_s, const void* from, const SubsampledShape& shape, DType type, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
