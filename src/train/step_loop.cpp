#include "train/step_loop.h"

#include <algorithm>

#include "train/pace.h"
#include "train/signals.h"

namespace dpll {
namespace {

// How many steps to enqueue: rank 0 knows how long they take.
std::int64_t steps_at_once(const Pace& pace, Ranks* ranks) {
  std::int64_t steps = pace.steps();
  if (ranks != nullptr && pace.overlaps()) ranks->broadcast(&steps, sizeof steps);
  return steps;
}

}  // namespace

// The host enqueues a chunk of steps on a GPU and reports on the previous chunk while they run. It only waits
// where all of them must be done.
void run_steps(TrainingStep& step, const StepLoop& loop) {
  Pace pace(loop.overlaps);
  std::int64_t enqueued = loop.first;
  SharedStops::agree();
  throw_if_stop_requested();
  while (enqueued < loop.end) {
    const std::int64_t stop = loop.next_stop ? loop.next_stop(enqueued) : loop.end;
    const std::int64_t end = std::min(stop, enqueued + steps_at_once(pace, loop.ranks));
    for (; enqueued < end; ++enqueued) step.enqueue();
    step.request_records();
    SharedStops::agree();
    const bool settle = end == stop || !pace.overlaps() || stop_request().has_value();
    while (step.requests() > (settle ? 0 : 1)) {
      const std::vector<StepRecord> records = step.collect_records();
      if (loop.take) loop.take(records);
      pace.chunk_done();
    }
    if (!settle) continue;
    if (loop.settled) loop.settled(enqueued);
    throw_if_stop_requested();
  }
}

}  // namespace dpll
