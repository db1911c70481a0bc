#include "train/step_loop.h"

#include <algorithm>

#include "train/pace.h"
#include "train/signals.h"

namespace dpll {

// The host enqueues a chunk of steps on a GPU and reports on the previous chunk while they run. It only waits
// where all of them must be done.
void run_steps(TrainingStep& step, const StepLoop& loop) {
  Pace pace(loop.overlaps);
  std::int64_t enqueued = loop.first;
  SharedStops::agree();
  throw_if_stop_requested();
  while (enqueued < loop.end) {
    const std::int64_t stop = loop.next_stop ? loop.next_stop(enqueued) : loop.end;
    const std::int64_t end = std::min(stop, enqueued + (loop.one_by_one ? 1 : pace.steps()));
    for (; enqueued < end; ++enqueued) step.enqueue();
    step.request_records();
    const bool settle = end == stop || !pace.overlaps() || stop_request().has_value();
    while (step.requests() > (settle ? 0 : 1)) {
      const std::vector<StepRecord> records = step.collect_records();
      if (loop.take) loop.take(records);
      pace.chunk_done();
    }
    if (!settle) continue;
    if (loop.settled) loop.settled(enqueued);
    SharedStops::agree();
    throw_if_stop_requested();
  }
}

}  // namespace dpll
