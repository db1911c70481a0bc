// Where a run computes: decided when it starts, kept when it goes on.
#pragma once

#include <string>

#include "dpll/config.h"
#include "report/log.h"
#include "train/run_folder.h"

namespace dpll {

// Decides, says so in the log, and writes into `config` what `auto` stands for (train/devices.h). A run that
// `resumes` stays on the kind of device, in the precision and with the number of threads in which it began,
// though `auto` and 0 might be others today; Error(device) names the override where that is not to be had.
// Returns the tuning to repeat, for BackendMaker.
std::string decide_run_device(RunConfig& config, const RunFolder& folder, Log& log, bool resumes);

}  // namespace dpll
