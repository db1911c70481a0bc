// device = check: the same training steps on the CPU and on the GPU, compared tensor by tensor.
#pragma once

#include <functional>
#include <string>

#include "dpll/config.h"
#include "train/devices.h"

namespace dpll {

// Runs config.run.check_steps full steps of the configuration on the backend of `maker` and on the CPU. Both
// begin every step with the CPU's parameters, velocities and targets, so that a step's error is its own.
// Prints a line for every tensor of the step, in the order in which they are computed: the largest relative
// error, |difference| / |CPU's tensor| in the Euclidean norm, and the step where it occurred; marks those
// beyond what the precision explains. Returns 0, or the exit code of ExitCode::device if any is marked.
// Writes nothing. Throws Error.
int check_devices(const RunConfig& config, const BackendMaker& maker,
                  const std::function<void(const std::string&)>& print);

}  // namespace dpll
