// The runtime of a real GPU. Only in builds with CUDA.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/runtime.h"
#include "backend/gpu_port.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// GPU `device` as CUDA numbers those that are visible. Error(device) where there is no driver, no such GPU or
// one older than sm_80.
std::unique_ptr<Runtime> make_gpu_runtime(int device);
// Makes it the current one of the calling thread.
void use_gpu(int device);
// Those that are visible; no context is made. Error(device) where there is no driver or no GPU.
std::vector<GpuFacts> list_gpus();
std::string driver_text();  // "driver 580.65.06, CUDA 13.0"

}  // namespace dpll::DPLL_CUDA_NAMESPACE
