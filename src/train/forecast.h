// Estimates the duration of a run from its first steps: one line of its log.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace dpll {

// In seconds.
struct Timing {
  double step = 0;
  double between_epochs = 0;  // evaluation, checkpoint and charts; 0 when no epoch has ended yet
};

// Times the steps of this process until there are enough for an estimate. The first steps do not count,
// because they also do work that later steps need not repeat.
class StepTimer {
 public:
  using Clock = std::chrono::steady_clock;

  void begin_epoch(Clock::time_point now);
  // `steps` more steps have ended. Returns the timing once, as soon as there are enough steps.
  std::optional<Timing> add(std::int64_t steps, Clock::time_point now);

 private:
  Clock::time_point last_;
  bool warm_ = false, told_ = false;
  std::int64_t steps_ = 0;
  int epochs_ = 0;
  double step_seconds_ = 0, between_seconds_ = 0;
};

struct RunLength {
  std::string network;
  bool gpu = false;
  std::int64_t steps_per_epoch = 0;
  int epochs = 0;               // of the whole run
  std::int64_t max_steps = 0;   // after which the run ends; 0: no limit
  std::int64_t steps_done = 0;  // of the whole run
  bool resumed = false;
  int evaluation_every = 1;     // epochs, and after the last one
  double evaluation_steps = 0;  // duration of an evaluation, in steps

  std::int64_t steps() const {
    const std::int64_t all = steps_per_epoch * epochs;
    return max_steps == 0 ? all : std::min(all, max_steps);
  }
};

// The number of training steps, with `batch` samples and `views` views, that take as long as one forward pass
// on `images` images. The backward pass is twice the work of the forward pass.
double evaluation_in_steps(std::int64_t images, int batch, int views);

// A warning if a step takes longer than schedulers wait between SIGTERM and SIGKILL, usually 30 s; else "".
std::string slow_stop_line(const Timing& timing);

// "0.31 s a step: about 2.0 minutes an epoch and ...". "" if less than a minute is left.
std::string forecast_line(const Timing& timing, const RunLength& run);

}  // namespace dpll
