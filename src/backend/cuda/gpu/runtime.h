// The runtime of a real GPU. Only in builds with CUDA.
#pragma once

#include <memory>

#include "backend/cuda/runtime.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// GPU `device` as CUDA numbers those that are visible. Error(device) where there is no driver, no such GPU or
// one older than sm_80.
std::unique_ptr<Runtime> make_gpu_runtime(int device);
// 90 for sm_90. Errors as above.
int gpu_architecture(int device);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
