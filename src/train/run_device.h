// The device of a run: chosen at the start and kept by a resumed run.
#pragma once

#include <string>

#include "dpll/config.h"
#include "report/log.h"
#include "train/run_folder.h"

namespace dpll {

// Chooses the device, logs the choice, and replaces `auto` in `config` (train/devices.h). A run that
// `resumes` keeps the kind of device, the precision and the number of threads with which it began, even if
// `auto` and 0 would now give others. If they are not available, Error(device) names the key to override.
// Returns the autotuner's choices to repeat, for BackendMaker.
std::string decide_run_device(RunConfig& config, const RunFolder& folder, Log& log, bool resumes);

}  // namespace dpll
