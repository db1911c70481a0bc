// device = check: the steps of training on the GPU, every operation of them checked, and the same steps on
// the CPU beside them.
#pragma once

#include <functional>
#include <string>

#include "dpll/config.h"
#include "train/devices.h"

namespace dpll {

// Runs config.run.check_steps full steps of the configuration on the backend of `maker`. Every operation's
// results are compared with what they should be for the operation's own inputs, and 16-bit weights with their
// masters: prints a line for each tensor that an operation computes, with its largest error in units of what
// its arithmetic explains (check/arithmetic.h), and marks those above 1 with "!". Returns 0, or the exit code
// of ExitCode::device if any is marked. Each step also runs on the CPU from the parameters and targets that
// the other backend begins it with; how far whole steps lie apart is printed as information: rounding that
// passes through a network may be of any size. Writes nothing. Throws Error.
int check_devices(const RunConfig& config, const BackendMaker& maker,
                  const std::function<void(const std::string&)>& print);

}  // namespace dpll
