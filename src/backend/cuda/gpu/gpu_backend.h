// The CUDA backend on a real GPU. Only in builds with CUDA (DPLL_WITH_CUDA).
#pragma once

#include <string>

#include "backend/gpu_port.h"

namespace dpll {

GpuPort& cuda_port();

// For --version, three lines: the cuDNN and the NCCL that are found on this machine and the GPUs, or why
// there is none.
std::string gpu_version_text();

}  // namespace dpll
