// Which device a run computes on: what `auto` stands for, and whether a GPU is fit.
#pragma once

#include <string>
#include <vector>

#include "backend/make_backend.h"
#include "dpll/config.h"

namespace dpll {

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
