// A contest of the tuner between the ways to compute one pass of a convolution.
#pragma once

#include <vector>

#include "backend/cuda/contest.h"
#include "backend/cuda/convolution.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Multiplications and additions of a pass.
double operations_of(const ConvolutionShape& shape);

// On random inputs; the bounds follow from the length of the sums and the types that they are made of.
// `tf32`: float32 factors may be rounded to it.
Contest convolution_contest(Runtime& runtime, const ConvolutionShape& shape, ConvolutionPass pass,
                            const std::vector<ConvolutionOffer>& offers, bool tf32);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
