// Which backend a run computes on.
#pragma once

#include <functional>
#include <memory>

#include "dpll/backend.h"
#include "dpll/config.h"

namespace dpll {

// The backend that run.device and run.precision name; `check` gives the GPU's. Error(device) when this build
// or machine does not have it.
std::unique_ptr<Backend> make_backend(const RunConfig::Run& run);
using BackendMaker = std::function<std::unique_ptr<Backend>(const RunConfig::Run&)>;

// Says what `auto` and 0 threads stand for on this machine, so that the configuration repeats the run.
// Error(device) as above.
void resolve_devices(RunConfig::Run& run);

}  // namespace dpll
