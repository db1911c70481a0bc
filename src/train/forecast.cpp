#include "train/forecast.h"

#include <fmt/format.h>

#include <algorithm>

namespace dpll {
namespace {

constexpr double kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;

double seconds_between(StepTimer::Clock::time_point from, StepTimer::Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// Two significant digits in a readable unit.
std::string in_words(double seconds) {
  const auto with_unit = [](double amount, const char* unit) {
    return fmt::format("{:.{}f} {}", amount, amount < 9.95 ? 1 : 0, unit);
  };
  if (seconds < 1) return fmt::format("{:.2g} s", seconds);
  if (seconds < 2 * kMinute) return with_unit(seconds, "s");
  if (seconds < 2 * kHour) return with_unit(seconds / kMinute, "minutes");
  if (seconds < 2 * kDay) return with_unit(seconds / kHour, "hours");
  return with_unit(seconds / kDay, "days");
}

}  // namespace

void StepTimer::begin_epoch(Clock::time_point now) {
  if (warm_) {
    between_seconds_ += seconds_between(last_, now);
    ++epochs_;
  }
  last_ = now;
}

std::optional<Timing> StepTimer::add(std::int64_t steps, Clock::time_point now) {
  if (told_ || steps == 0) return std::nullopt;
  const double seconds = seconds_between(last_, now);
  last_ = now;
  if (!warm_) {
    warm_ = true;
    return std::nullopt;
  }
  steps_ += steps;
  step_seconds_ += seconds;
  // Short steps vary; a single step of ten seconds is enough.
  if (step_seconds_ < 10 && (step_seconds_ < 1 || steps_ < 4)) return std::nullopt;
  told_ = true;
  return Timing{.step = step_seconds_ / static_cast<double>(steps_),
                .between_epochs = epochs_ > 0 ? between_seconds_ / epochs_ : 0};
}

double evaluation_in_steps(std::int64_t images, int batch, int views) {
  return static_cast<double>(images) / (3.0 * batch * views);
}

std::string forecast_line(const Timing& timing, const RunLength& run) {
  const std::int64_t steps_left = run.steps() - run.steps_done;
  const auto epochs = static_cast<int>((run.steps() + run.steps_per_epoch - 1) / run.steps_per_epoch);
  const auto epochs_done = static_cast<int>(run.steps_done / run.steps_per_epoch);
  const int every = run.evaluation_every;
  // After every epoch that is a multiple of `every`, and after the last one.
  const int evaluations = epochs / every - epochs_done / every + (epochs % every != 0 ? 1 : 0);
  const double evaluation = run.evaluation_steps * timing.step;
  const double epoch = static_cast<double>(run.steps_per_epoch) * timing.step +
                       std::max(timing.between_epochs, evaluation / every);
  const double left = static_cast<double>(steps_left) * timing.step +
                      std::max(timing.between_epochs * (epochs - epochs_done), evaluation * evaluations);
  if (left < kMinute) return "";
  std::string line =
      fmt::format("{} a step: about {} an epoch and {} for {}{}", in_words(timing.step), in_words(epoch),
                  in_words(left), run.resumed ? "what is left of the run" : "the whole run",
                  run.evaluation_steps > 0 ? ", evaluation included" : "");
  if (!run.gpu && left >= kDay) {
    line += fmt::format("; {} for this long is meant for a GPU: [run] device = cuda", run.network);
  }
  return line;
}

std::string slow_stop_line(const Timing& timing) {
  constexpr double kUsualGrace = 30, kForTheCheckpoint = 10;
  if (timing.step < kUsualGrace - kForTheCheckpoint) return "";
  return fmt::format(
      "a step takes {}, and a signal is met when it is done: schedulers that kill {:.0f} s after SIGTERM "
      "come "
      "too early; run.max_hours or an earlier signal (SIGUSR1) stops in time",
      in_words(timing.step), kUsualGrace);
}

}  // namespace dpll
