// The one place that knows which device is behind run.device.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backend/gpu_port.h"
#include "dpll/backend.h"
#include "dpll/config.h"

namespace dpll {

// The backend that run.device and run.precision name; `auto` is the CPU here, `check` gives the GPU's.
// Error(device) when this build or machine does not have it. `warn`: what is odd but can be done without, one
// line each. `choices`: Backend::tuning_choices() of an earlier run that this one repeats, or empty.
using Warn = std::function<void(const std::string&)>;
void print_warning(const std::string& text);  // "warning: ..." on stderr
std::unique_ptr<Backend> make_backend(const RunConfig::Run& run, const Warn& warn = print_warning,
                                      const std::string& choices = "");
// The same, telling `progress` what is being tuned.
std::unique_ptr<Backend> make_backend_with_progress(const RunConfig::Run& run, const Warn& warn,
                                                    const std::string& choices, const Warn& progress);
using BackendMaker =
    std::function<std::unique_ptr<Backend>(const RunConfig::Run&, const Warn&, const std::string& choices)>;

// What run.precision = auto is on a GPU, 90 for sm_90: the vendor's fused convolutions are for f16 up to
// Hopper; newer GPUs are as fast in bf16, which needs no loss scale.
Precision automatic_precision(int architecture);
// Of activations and weights on a GPU.
DType compute_type(Precision precision);

// Of device = cuda and check. Error(device) in a build without CUDA.
GpuPort& port_for(const RunConfig::Run& run);
// The GPU that the run names; where it names none and no qualification has found out which, the first one.
int gpu_index(const RunConfig::Run& run);
// Of that GPU, 90 for sm_90.
int gpu_architecture(const RunConfig::Run& run);
bool uses_gpu(const RunConfig::Run& run);

}  // namespace dpll
