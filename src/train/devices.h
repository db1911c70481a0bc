// Which backend a run computes on.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

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

// Says what `auto` and 0 threads stand for on this machine where no GPU has to qualify first: `auto` is the
// CPU. Error(device) as above.
void resolve_devices(RunConfig::Run& run);

struct DeviceDecision {
  std::string line;  // the first line of a run's log: which device, why, and how it was qualified
  std::vector<std::string> warnings;  // why a GPU that is there is not used; that run.threads does not fit
  std::string choices;                // Backend::tuning_choices() that were made meanwhile; or empty
};
// Says what `auto` and 0 threads stand for in a training run: with run.qualify a GPU is used once it has
// shown that it computes right (train/qualification.h). Where it has not, `auto` is the CPU and `cuda` is an
// Error(device). `choices` as above; `progress`: what is being done.
DeviceDecision decide_device(RunConfig& config, const std::string& choices, const Warn& progress,
                             const Warn& warn);

}  // namespace dpll
