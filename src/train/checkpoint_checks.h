// Checks that the values of a checkpoint or a model file are possible. The digest only shows that the file
// has not changed since it was written. A file of another program, or of a faulty one, may have a correct
// digest and values that no training produces.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/safetensors.h"

namespace dpll {

// The limits for the values of a checkpoint.
struct CheckpointLimits {
  std::int64_t steps_per_epoch = 0;
  const CandidateSets& candidates;  // of the training samples
};

// Compares the digest of a file, if it has one, with its contents. Error(data) if they differ.
void check_digest(const SafetensorsFile& file);
// Checks the tensors whose names begin with `prefix`: f32 values are finite, running variances are not
// negative, and each count of batches is a single number that is not negative. Error(data) names file,
// tensor, element, value and the allowed range.
void check_parameters(const SafetensorsFile& file, const std::string& prefix);
// Checks the whole checkpoint: parameters, momentum and averages as above; the ranges of counters, times and
// the loss scale; that each target row is a distribution over the candidates of its sample; the sums of the
// unfinished epoch; that the history is a table of numbers with at most one row per finished epoch.
// Error(data) as above.
void check_checkpoint(const SafetensorsFile& file, const CheckpointLimits& limits);

}  // namespace dpll
