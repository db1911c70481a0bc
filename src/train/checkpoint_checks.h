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
  const CandidateSets& candidates;  // of the training samples, as the method has changed them
  bool keeps_rows = false;          // does the method keep rows besides the targets?
};

// Compares the digest of a file, if it has one, with its contents. Error(data) if they differ.
void check_digest(const SafetensorsFile& file);
// Checks the tensors whose names begin with `prefix`: f32 values are finite, running variances are not
// negative, and each count of batches is a single number that is not negative. Error(data) names file,
// tensor, element, value and the allowed range.
void check_parameters(const SafetensorsFile& file, const std::string& prefix);
// The whole checkpoint: its parameters, momentum and averages as above, its counters and times within their
// ranges, the loss scale, a row of the table of targets being a distribution over its sample's candidates,
// the sums of the unfinished epoch, and the history being a table of numbers with a row for each finished
// epoch at most. What a method keeps besides is finite. Error(data) as above.
void check_checkpoint(const SafetensorsFile& file, const CheckpointLimits& limits);

}  // namespace dpll
