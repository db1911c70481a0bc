// The batch sizes of a run. Each needs its own program, and the autotuner's choices depend on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/data.h"
#include "dpll/model/network.h"

namespace dpll {

// For the steps of an epoch over `samples`: the full batch and, unless it is dropped, the smaller last batch.
// Error(config) if there is no full batch.
std::vector<int> training_batches(std::int64_t samples, const RunConfig::Optimiser& optimiser);

// For the passes of an evaluation over `samples`: the full batch and the smaller last batch.
std::vector<int> evaluation_batches(std::int64_t samples, int batch);

// Batch norm normalises each view of a batch separately. If a channel of a view has only one value, its
// variance is 0 and the output does not depend on the value. Error(config) if every training step on images
// of `height` x `width` has such a channel somewhere in the network; a line of advice if only the last step
// of an epoch has; else empty.
std::string batch_norm_advice(const RunConfig& config, std::int64_t samples, std::int64_t height,
                              std::int64_t width);

// Every program of a training run on `data`, as load_data() returns it; the samples that select an epoch are
// not held out yet. The annotator has its own network, which is not included.
std::vector<ProgramSpec> program_specs(const RunConfig& config, const DataSet& data);

}  // namespace dpll
