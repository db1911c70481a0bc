// Batch norm with ReLU and dropout, per view, forward and backward; optionally with a pooling behind it.
//   z = fma(x - mean, gamma / sqrt(var + eps), beta);  a = dropout(relu(z));  y = pool(a)
// Forward and backward compute z by the same function, so the mask of ReLU is the same in both and need not
// be stored. Source: the contracts dpll/ops/preact_conv.h and dpll/ops/bn_relu_pool.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "dpll/core/tensor.h"
#include "dpll/ops/bn_relu_pool.h"
#include "dpll/ops/common.h"
#include "view_rows.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct BatchNormParameters {
  const float *gamma = nullptr, *beta = nullptr;          // [C]
  float *running_mean = nullptr, *running_var = nullptr;  // [C]
  const float* stats = nullptr;  // [V, 2, C]: mean, biased variance; null: the running ones (evaluation)
  // Where several ranks share a batch, the rows of a view on all of them, to which stats belong; else 0.
  std::int64_t rows_of_ranks = 0;
};
// Makes sums of this rank's rows those of all ranks; `count` of them. Empty: this rank has all rows.
using ShareSums = std::function<void(float* sums, std::int64_t count)>;

struct ImageShapeOf {
  int height = 1, width = 1;  // of x
};

struct DropoutDraws {
  double p = 0;  // 0: no dropout
  std::uint32_t site = 0;
  const StepState* step = nullptr;
  const std::int32_t* order = nullptr;  // or null: sample = first + ahead + row
  int ahead = 0;                        // see BatchRows
};

struct BatchNormForwardCall {
  DType type = DType::f32;
  ViewRows shape;  // of x
  ImageShapeOf image;
  Pool pool = Pool::none;
  void* y = nullptr;
  const void* x = nullptr;
  BatchNormParameters bn;
  DropoutDraws dropout = {};  // only with Pool::none
};

// In training also updates the running statistics, once a view, in view order.
void batch_norm_forward(const BatchNormForwardCall& call, Stream stream);

struct BatchNormBackwardCall {
  DType type = DType::f32;
  ViewRows shape;  // of x
  ImageShapeOf image;
  Pool pool = Pool::none;
  void* d_x = nullptr;  // null: only d_gamma and d_beta
  bool accumulate = false;
  float *d_gamma = nullptr, *d_beta = nullptr;  // [C]
  const void* d_y = nullptr;                    // gradient of y
  const void* d_y_second = nullptr;             // added to d_y, or null; only with Pool::none
  const void* x = nullptr;
  BatchNormParameters bn;
  const void* dropped = nullptr;  // with dropout: a, as forward wrote it
  double dropout = 0;
  // Where a convolution has summed already: [V, C], of each view's d_z and d_z x_hat; d_y is then d_z, and
  // only the pass that writes d_x runs over x. Only with Pool::none and without dropout.
  const float *view_d_gamma = nullptr, *view_d_beta = nullptr;
  void* workspace = nullptr;
  unsigned* counters = nullptr;  // channel_counters(shape), see last_block.cuh
  // Called between the two passes, for what d_x has through the statistics. d_gamma and d_beta stay those of
  // this rank's rows.
  ShareSums share = {};
};

std::size_t batch_norm_backward_workspace(const ViewRows& shape);
void batch_norm_backward(const BatchNormBackwardCall& call, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
