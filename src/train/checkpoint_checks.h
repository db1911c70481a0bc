// Whether what a checkpoint or a model file says can be true. Its digest only says that the file is what was
// written; a file that another program wrote, or a faulty one, may hold a good digest and values that no
// training leaves behind.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/safetensors.h"

namespace dpll {

// What the values of a checkpoint must keep to.
struct CheckpointLimits {
  std::int64_t steps_per_epoch = 0;
  const CandidateSets& candidates;  // of the training samples, as the method has changed them
  bool keeps_rows = false;          // does the method keep rows besides the targets?
};

// Compares the digest of a file that has one with its contents. Error(data): they differ.
void check_digest(const SafetensorsFile& file);
// Tensors whose names begin with `prefix` and whose type is f32 hold finite values, running variances are not
// negative, and counts of batches are single numbers that are not negative. Error(data) naming file, tensor,
// element, value and the allowed range.
void check_parameters(const SafetensorsFile& file, const std::string& prefix);
// The whole checkpoint: its parameters, momentum and averages as above, its counters and times within their
// ranges, the loss scale, a row of the table of targets being a distribution over its sample's candidates,
// the sums of the unfinished epoch, and the history being a table of numbers with a row for each finished
// epoch at most. What a method keeps besides is finite. Error(data) as above.
void check_checkpoint(const SafetensorsFile& file, const CheckpointLimits& limits);

}  // namespace dpll
