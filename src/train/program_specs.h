// The batch sizes that a run works with: a program is made for each, and what the tuner chooses depends on
// it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/data.h"
#include "dpll/model/network.h"

namespace dpll {

// Of the steps of an epoch over `samples`: the full one and, unless it is dropped, what is left at the end.
// Error(config) where there is no full one.
std::vector<int> training_batches(std::int64_t samples, const RunConfig::Optimiser& optimiser);

// Of the passes of an evaluation over `samples`: the full one and what is left at the end.
std::vector<int> evaluation_batches(std::int64_t samples, int batch);

// Batch norm normalises each view of a batch by itself: one value has no spread, and whatever it is, the same
// comes out. Error(config) where every step of training on images of `height` x `width` has but one value a
// channel somewhere in the network; a line of advice where only the last step of an epoch has; else empty.
std::string batch_norm_advice(const RunConfig& config, std::int64_t samples, std::int64_t height,
                              std::int64_t width);

// Every program of a training run on `data`, as load_data() gives it: the run itself holds out the samples
// that select an epoch. An annotator's network is another one and not among them.
std::vector<ProgramSpec> program_specs(const RunConfig& config, const DataSet& data);

}  // namespace dpll
