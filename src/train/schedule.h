// What changes from epoch to epoch: learning rate, weight of the consistency term, order of the samples.
#pragma once

#include <cstdint>
#include <vector>

#include "dpll/config.h"

namespace dpll {

// Learning rate of a step. `epoch` is 0-based, `step` counts from the beginning of the run, `steps_per_epoch`
// > 0.
//   warm-up   the first warmup_epochs: linear, lr * (step + 1) / (steps of the warm-up)
//   step      lr * factor^m, m = number of decay epochs d already passed: epoch > d (article) or epoch >= d
//   (published) cosine    from lr to lr_min over the steps after the warm-up constant  lr
double learning_rate(const RunConfig& config, int epoch, std::int64_t step, std::int64_t steps_per_epoch);

// Weight of the consistency term in a 0-based epoch: lambda_max * min(1, (epoch + 1) / ramp) (article) or
// lambda_max * min(1, epoch / ramp) (published); lambda_max when there is no ramp.
double consistency_weight(const RunConfig::Objective& objective, int epoch);

// The order in which an epoch visits the samples: 0..count-1, or their Fisher-Yates shuffle by Philox draws
// of (seed, Purpose::shuffle, epoch, position).
std::vector<std::int32_t> sample_order(std::int64_t count, bool shuffle, std::uint64_t seed, int epoch);

}  // namespace dpll
