// The one door to GPUs: which there are, and a backend on one of them. Builds with CUDA have the CUDA backend
// behind it; tests put emulated GPUs there.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dpll/backend.h"

namespace dpll {

struct GpuFacts {
  int index = 0;           // as CUDA numbers those that are visible
  std::string name;        // "NVIDIA H200"
  std::string uuid;        // of the GPU or, where it is cut into slices (MIG), of the slice
  int architecture = 0;    // 90 for sm_90
  bool supported = false;  // by this program
};

struct GpuOptions {
  int index = 0;
  DType compute = DType::f32;     // f32, f16 or bf16
  bool tf32 = false;              // f32: multiply in tf32 on tensor cores
  bool deterministic = true;      // only engines whose sums have one order
  bool tuning = false;            // time what has several ways, and use the fastest
  double tuning_seconds = 0;      // for all of it; 0: no limit
  std::string tuning_cache = {};  // folder that keeps the choices; empty: none
  std::string choices = {};       // Backend::tuning_choices() of an earlier run, to repeat them; or empty
  std::function<void(const std::string&)> warn = [](const std::string&) {};
  std::function<void(const std::string&)> progress = [](const std::string&) {};  // what is being done now
};

class GpuPort {
 public:
  virtual ~GpuPort() = default;
  // Makes no context on any GPU. Error(device), one line, where there is no driver or no GPU.
  virtual std::vector<GpuFacts> list() = 0;
  // "driver 580.65, CUDA 13.0, cuDNN 9.19.0, cuBLAS 13.1": on what results depend besides the GPU.
  // Error(device) where one is missing.
  virtual std::string libraries() = 0;
  // Makes a context there. Error(device) where the GPU does not let this process in.
  virtual std::size_t free_bytes(int index) = 0;
  // Error(device), one line, where driver, GPU, cuDNN or cuBLAS is missing or too old.
  virtual std::unique_ptr<Backend> make(const GpuOptions& options) = 0;
};

// Null in a build without CUDA.
GpuPort* gpu_port();
// For tests: what gpu_port() returns from then on; it must outlive all use.
void set_gpu_port(GpuPort* port);

}  // namespace dpll
