// Convolutions and products by their definitions, in place of cuDNN and cuBLAS: sums in float64, rounded once
// to the type that is stored. The whole workspace is written, so that it is not taken for something that
// lasts.
#pragma once

#include <memory>

#include "backend/cuda/convolution.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

std::unique_ptr<MathLibrary> make_reference_library();

}  // namespace dpll::DPLL_CUDA_NAMESPACE
