// The values that change from epoch to epoch: learning rate, scalars of the method, order of the samples.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/ops/advance.h"

namespace dpll {

// Learning rate of a step. `epoch` is 0-based, `step` counts from the beginning of the run, and
// `steps_per_epoch` > 0.
// - warm-up: linear in the first warmup_epochs: lr * (step + 1) / (steps of the warm-up)
// - step: lr * factor^m, m = number of decay epochs d with epoch >= d (lr_decay = before) or epoch > d
// (after)
// - cosine: from lr to lr_min over the steps after the warm-up
// - constant: lr
double learning_rate(const RunConfig& config, int epoch, std::int64_t step, std::int64_t steps_per_epoch);

// The plans for the steps of a 0-based epoch: learning rate times `rate_factor`, and the method's scalars.
std::vector<StepPlan> plans_of_epoch(const RunConfig& config, int epoch, std::int64_t steps,
                                     double rate_factor = 1);

// The method's scalar with this name; NaN if it has none.
double method_scalar(const RunConfig& config, const std::string& name, const Moment& moment);

// The order in which an epoch visits the samples: 0..count-1, or their Fisher-Yates shuffle by Philox draws
// of (seed, Purpose::shuffle, epoch, position).
std::vector<std::int32_t> sample_order(std::int64_t count, bool shuffle, std::uint64_t seed, int epoch);

}  // namespace dpll
