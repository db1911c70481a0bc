// Per-view statistics of an activation, with the bias and the residual that come before them, in one pass:
//   y = y + bias + residual   (where given; written back in y's type)
//   stats[v] = mean and biased variance of each channel over the rows of view v, of y as stored
// Without cancellation: every thread sums differences from a value of its own channel, and partial results
// are merged by the formula of Chan, Golub and LeVeque (1979). The order of all sums is fixed.
#pragma once

#include <cstddef>

#include "dpll/core/tensor.h"
#include "view_rows.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct ViewStatisticsCall {
  DType type = DType::f32;  // of y and residual
  ViewRows shape;
  void* y = nullptr;               // [V * rows, C]
  const float* bias = nullptr;     // [C] or null
  const void* residual = nullptr;  // as y, or null; may be y
  float* stats = nullptr;          // [V, 2, C], or null: then only bias and residual are added
  void* workspace = nullptr;       // view_statistics_workspace() bytes
  unsigned* counters = nullptr;    // channel_counters(shape), see last_block.cuh; only with stats
};

std::size_t view_statistics_workspace(const ViewRows& shape);
void view_statistics(const ViewStatisticsCall& call, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
