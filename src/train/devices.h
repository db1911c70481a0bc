// The device of a run: resolves `auto` and tests whether a GPU can be used.
#pragma once

#include <string>
#include <vector>

#include "backend/make_backend.h"
#include "dpll/config.h"

namespace dpll {

// Resolves `auto` and 0 threads on this machine without testing a GPU: `auto` is the CPU. Error(device) as
// above.
void resolve_devices(RunConfig::Run& run);

struct DeviceDecision {
  std::string line;  // the first line of a run's log: which device, why, and how it was qualified
  std::vector<std::string> warnings;  // why an existing GPU is not used; that run.threads does not fit
  std::string choices;                // Backend::tuning_choices() of the test; or empty
};
// Resolves `auto` and 0 threads for a training run. With run.qualify a GPU is only used if a test shows that
// it computes correctly (train/qualification.h). Otherwise `auto` is the CPU and `cuda` is an Error(device).
// `choices` as above. `progress` receives the current activity.
DeviceDecision decide_device(RunConfig& config, const std::string& choices, const Warn& progress,
                             const Warn& warn);

}  // namespace dpll
