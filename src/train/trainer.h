// A run from its configuration to its folder: data, candidates, network, epochs, evaluation, files.
#pragma once

#include "dpll/config.h"
#include "train/devices.h"

namespace dpll {

// Trains as `config` says and returns the process's exit code: 0, or 130 and 143 after Ctrl-C and SIGTERM.
// Throws Error. `maker` makes the backend.
int train(RunConfig config, const BackendMaker& maker = make_backend);

}  // namespace dpll
