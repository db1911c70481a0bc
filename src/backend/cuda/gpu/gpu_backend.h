// The CUDA backend on a real GPU. Only in builds with CUDA (DPLL_WITH_CUDA).
#pragma once

#include <memory>
#include <string>

#include "dpll/backend.h"

namespace dpll {

// On the first visible GPU, in float32 without tf32, deterministic. Error(device), one line, where driver,
// GPU, cuDNN or cuBLAS is missing or too old.
std::unique_ptr<Backend> make_gpu_backend();

// For --version, two lines: the cuDNN that is found on this machine and the GPU, or why there is none.
std::string gpu_version_text();

}  // namespace dpll
