// Runs the steps of an epoch in order, on synchronous and asynchronous backends.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "train/training_step.h"

namespace dpll {

struct StepLoop {
  std::int64_t first = 0;  // step of the epoch to begin with
  std::int64_t end = 0;    // step of the epoch before which to end, at most steps_per_epoch
  bool overlaps = false;   // is the backend asynchronous?
  Ranks* ranks = nullptr;  // which must pause at the same steps, or null
  // The step before which all earlier steps must be done, at most `end`. Empty: only `end`.
  std::function<std::int64_t(std::int64_t enqueued)> next_stop = {};
  // Receives the steps that are done, in order. May be empty.
  std::function<void(const std::vector<StepRecord>&)> take = {};
  // Called when all steps up to `done` are done and no step is running. May be empty.
  std::function<void(std::int64_t done)> settled = {};
};

// Enqueues the steps from loop.first to loop.end; TrainingStep::begin_epoch() has been called.
// Throws Stopped between two steps if a stop is requested, after all enqueued steps are done and taken.
void run_steps(TrainingStep& step, const StepLoop& loop);

}  // namespace dpll
