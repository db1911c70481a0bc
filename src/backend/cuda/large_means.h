// What the random inputs of a contest cannot show: how good statistics are where the mean of a channel is
// large beside its deviation, as a real network's are. E[y^2] - E[y]^2 cancels there.
#pragma once

#include <functional>

#include "backend/cuda/contest_tensors.h"
#include "backend/cuda/convolution.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// |mean| / deviation of every channel of y, about.
inline constexpr double kMeanInDeviations = 30;

struct LargeMeans {
  ConvolutionShape shape;  // of all images
  int views = 1;
  void* weight = nullptr;   // of the contenders; changed for the examination
  const void* y = nullptr;  // what they compute
  double deviation = 1;     // of y, about
  // Makes input channel 0 of the convolution 1 everywhere, and undoes that.
  std::function<void()> enter = {}, leave = {};
  // After a run: its statistics [views, 2, out].
  const float* stats = nullptr;
  std::function<void()> finish_stats = {};  // or nothing
};

// Of an input relu(factor x + offset): sets the first of each, of `type`.
void offset_by_factors(Runtime& runtime, ContestTensors& make, void* factor, void* offset, DType type,
                       LargeMeans& of);
// x itself becomes relu(x) in the other channels; `draw` makes it as it was.
void offset_by_input(Runtime& runtime, ContestTensors& make, void* x, const std::function<void()>& draw,
                     LargeMeans& of);

// Gives y of `contest` large means, by way of input channel 0, and measures the contenders' statistics by
// those that our own kernel finds in their y, within what rounding y and sums to their types makes of them.
void examine_large_means(Runtime& runtime, Contest& contest, ContestTensors& make, const LargeMeans& of);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
