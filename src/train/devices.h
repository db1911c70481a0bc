// Which backend a run computes on.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "dpll/backend.h"
#include "dpll/config.h"

namespace dpll {

// The backend that run.device and run.precision name; `check` gives the GPU's. Error(device) when this build
// or machine does not have it. `warn`: what is odd but can be done without, one line each. `choices`:
// Backend::tuning_choices() of an earlier run that this one repeats, or empty.
using Warn = std::function<void(const std::string&)>;
void print_warning(const std::string& text);  // "warning: ..." on stderr
std::unique_ptr<Backend> make_backend(const RunConfig::Run& run, const Warn& warn = print_warning,
                                      const std::string& choices = "");
using BackendMaker =
    std::function<std::unique_ptr<Backend>(const RunConfig::Run&, const Warn&, const std::string& choices)>;

// What run.precision = auto is on a GPU, 90 for sm_90: the vendor's fused convolutions are for f16 up to
// Hopper; newer GPUs are as fast in bf16, which needs no loss scale.
Precision automatic_precision(int architecture);

// Says what `auto` and 0 threads stand for on this machine, so that the configuration repeats the run.
// Error(device) as above.
void resolve_devices(RunConfig::Run& run);

// The first line of a run's log: the device of a resolved configuration and, on the CPU, its vector
// instructions.
std::string device_line(const RunConfig::Run& run);

}  // namespace dpll
