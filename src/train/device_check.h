// device = check: runs training steps on the GPU, checks every operation, and runs the same steps on the CPU.
#pragma once

#include <functional>
#include <string>

#include "dpll/config.h"
#include "train/devices.h"

namespace dpll {

// Runs config.run.check_steps full steps of the configuration on the backend of `maker`. The results of every
// operation are compared with the values that its own inputs should give, and 16-bit weights with their
// masters. Prints one line for each tensor that an operation computes, with its largest error in units of the
// error that the arithmetic explains (check/arithmetic.h), and marks errors above 1 with "!". Returns 0, or
// the exit code of ExitCode::device if any is marked. Each step also runs on the CPU, from the same
// parameters and targets. The distance of whole steps is only printed as information, because a network may
// amplify rounding errors to any size. Writes nothing. Throws Error.
int check_devices(const RunConfig& config, const BackendMaker& maker,
                  const std::function<void(const std::string&)>& print);

}  // namespace dpll
