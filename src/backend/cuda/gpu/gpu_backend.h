// The CUDA backend on a real GPU. Only in builds with CUDA (DPLL_WITH_CUDA).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "dpll/backend.h"

namespace dpll {

struct GpuOptions {
  DType compute = DType::f32;     // f32, f16 or bf16
  bool tf32 = false;              // f32: multiply in tf32 on tensor cores
  bool deterministic = true;      // only engines whose sums have one order
  bool tuning = false;            // time what has several ways, and use the fastest
  std::string tuning_cache = {};  // folder that keeps the choices; empty: none
  std::string choices = {};       // Backend::tuning_choices() of an earlier run, to repeat them; or empty
  std::function<void(const std::string&)> warn = [](const std::string&) {};
};

// On the first visible GPU. Error(device), one line, where driver, GPU, cuDNN or cuBLAS is missing or too
// old.
std::unique_ptr<Backend> make_gpu_backend(const GpuOptions& options);

// Of the first visible GPU, 90 for sm_90. Error(device) where there is none that can be used.
int gpu_architecture();

// For --version, two lines: the cuDNN that is found on this machine and the GPU, or why there is none.
std::string gpu_version_text();

}  // namespace dpll
