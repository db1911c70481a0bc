#pragma once

#include <memory>

#include "backend/cuda/convolution.h"
#include "backend/cuda/vendor/cudnn_convolution.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Convolutions by cuDNN and products by cuBLASLt on the current GPU, all on `stream`. Error(device), one
// line, where a library is missing or too old.
std::unique_ptr<MathLibrary> make_vendor_library(Stream stream, const EngineRules& rules);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
