#pragma once

#include <memory>
#include <vector>

#include "backend/cuda/convolution.h"
#include "backend/cuda/vendor/cudnn_convolution.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Convolutions by cuDNN and products by cuBLASLt on the current GPU, to be run on `streams`. Error(device),
// one line, where a library is missing or too old.
std::unique_ptr<MathLibrary> make_vendor_library(const std::vector<Stream>& streams,
                                                 const EngineRules& rules);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
