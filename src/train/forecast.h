// What a run is going to take, from its first steps: one line of its log.
#pragma once

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

// Times the steps of this process until there are enough of them to go by. The first ones do not count: they
// also set up what the later ones use again.
class StepTimer {
 public:
  using Clock = std::chrono::steady_clock;

  void begin_epoch(Clock::time_point now);
  // `steps` more have ended. Gives the timing once, when there are enough.
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
  std::int64_t steps_done = 0;  // of the whole run
  bool resumed = false;
  int evaluation_every = 1;     // epochs, and after the last one
  double evaluation_steps = 0;  // an evaluation takes as long as that many steps
};

// How many training steps of `batch` samples in `views` views take as long as running the network forward on
// `images` images: backward is twice the work of forward.
double evaluation_in_steps(std::int64_t images, int batch, int views);

// What to know of a run whose steps take longer than schedulers wait between SIGTERM and SIGKILL, usually 30
// s; or "".
std::string slow_stop_line(const Timing& timing);

// "0.31 s a step: about 2.0 minutes an epoch and ...". "" when less than a minute is left.
std::string forecast_line(const Timing& timing, const RunLength& run);

}  // namespace dpll
