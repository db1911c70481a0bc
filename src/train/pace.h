// The number of steps that the host enqueues before it reads their results.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace dpll {

// With a synchronous backend the host reads the results of every step. With an asynchronous backend two
// chunks of about a tenth of a second are enqueued at a time. That is long enough that the backend never
// waits for the host, and short enough for a progress bar and for Ctrl-C.
class Pace {
 public:
  explicit Pace(bool overlaps) : overlaps_(overlaps), last_(Clock::now()) {}

  bool overlaps() const { return overlaps_; }
  std::int64_t steps() const { return steps_; }
  void chunk_done() {
    if (!overlaps_) return;
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    if (seconds < 0.05) steps_ = std::min<std::int64_t>(steps_ * 2, 1024);
    if (seconds > 0.2) steps_ = std::max<std::int64_t>(steps_ / 2, 1);
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool overlaps_;
  std::int64_t steps_ = 1;
  Clock::time_point last_;
};

}  // namespace dpll
