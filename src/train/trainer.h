// A run from its configuration to its folder: data, candidates, network, epochs, evaluation, files.
#pragma once

#include "dpll/config.h"
#include "dpll/ranks.h"
#include "train/devices.h"

namespace dpll {

// Trains as `config` says and returns the process's exit code: 0, or 130 and 143 after Ctrl-C and SIGTERM.
// Throws Error. `maker` makes the backend. With ranks all of them call it; rank 0 alone writes files and the
// log.
int train(RunConfig config, const BackendMaker& maker = make_backend, Ranks* ranks = nullptr);

}  // namespace dpll
