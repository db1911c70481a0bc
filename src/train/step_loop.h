// The steps of an epoch, one after the other, on backends that work behind the host as well as on those that
// compute at once.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "train/training_step.h"

namespace dpll {

struct StepLoop {
  std::int64_t first = 0;  // step of the epoch to begin with
  bool overlaps = false;   // does the backend work behind the host?
  // The step before which all of the earlier ones must be done, at most steps_per_epoch; empty: the end
  // alone.
  std::function<std::int64_t(std::int64_t enqueued)> next_stop = {};
  // Steps that are done, in order. May be empty.
  std::function<void(const std::vector<StepRecord>&)> take = {};
  // All steps up to `done` are done, none is under way. May be empty.
  std::function<void(std::int64_t done)> settled = {};
};

// Enqueues the steps from loop.first to the end of the epoch; TrainingStep::begin_epoch() has been called.
// Throws Stopped between two steps where that is requested, with all that were enqueued done and taken.
void run_steps(TrainingStep& step, const StepLoop& loop);

}  // namespace dpll
