// Writes the log lines of epochs and steps.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "report/listeners.h"

namespace dpll {
namespace {

std::string epoch_line(const EpochFigures& epoch) {
  const ObjectiveMetrics& sums = epoch.sums;
  const auto percent = [](const char* name, double x) {
    return std::isnan(x) ? std::string() : fmt::format("  {} {:.2f}%", name, 100 * x);
  };
  const std::string terms = epoch.has_terms
                                ? fmt::format(" (supervised {:.4f}, consistency {:.4f})",
                                              epoch.mean(sums.supervised), epoch.mean(sums.consistency))
                                : "";
  const TestScores& test = epoch.scores.test;
  const bool long_tailed =
      !std::isnan(test.many_accuracy) || !std::isnan(test.medium_accuracy) || !std::isnan(test.few_accuracy);
  std::string groups;
  if (long_tailed) {
    groups = percent("balanced", test.balanced_accuracy) + percent("many", test.many_accuracy) +
             percent("medium", test.medium_accuracy) + percent("few", test.few_accuracy);
  }
  return fmt::format("epoch {}/{}  loss {:.4f}{}{}{}{}{}{}{}  {:.0f} images/s  {:.1f} s", epoch.epoch,
                     epoch.epochs, epoch.mean(sums.total), terms, percent("test", epoch.scores.test_accuracy),
                     groups, percent("ema", epoch.scores.average_test_accuracy),
                     percent("validation", epoch.scores.validation_accuracy),
                     percent("approximated", epoch.scores.selection.approximated_accuracy),
                     percent("pseudo-labels", epoch.share_of_labelled(sums.pseudo_correct)),
                     epoch.images_per_second(), epoch.seconds);
}

class LogListener final : public RunListener {
 public:
  LogListener(Log& log, const RunLength& run, std::int64_t images_per_epoch)
      : log_(log), run_(run), images_per_epoch_(images_per_epoch) {}

  std::string name() const override { return "log"; }
  bool required() const override { return true; }

  void start(const RunState& state) override {
    run_.steps_done = state.steps;
    run_.resumed = state.resumed;
  }

  void epoch_begins() override {
    begin_ = Clock::now();
    timer_.begin_epoch(begin_);
    images_ = 0;
  }

  void steps(const std::vector<StepFigures>& done) override {
    for (const StepFigures& step : done) images_ += step.images;
    run_.steps_done = done.back().step;
    if (const auto timing = timer_.add(static_cast<std::int64_t>(done.size()), Clock::now())) {
      if (const std::string line = forecast_line(*timing, run_); !line.empty()) log_.line(line);
      if (const std::string line = slow_stop_line(*timing); !line.empty()) log_.warning(line);
    }
    if (log_.wants_bar()) draw_bar(done.back());
  }

  void epoch_done(const EpochFigures& epoch, const RunState&) override {
    log_.line(epoch_line(epoch));
    for (const std::string& warning : epoch.scores.warnings) {
      log_.warning(fmt::format("epoch {}: {}", epoch.epoch, warning));
    }
  }

 private:
  using Clock = StepTimer::Clock;

  void draw_bar(const StepFigures& last) {
    const double elapsed = std::chrono::duration<double>(Clock::now() - begin_).count();
    const double rate = static_cast<double>(images_) / std::max(elapsed, 1e-9);
    const std::int64_t left = run_.steps() - last.step;
    const double seconds_left = static_cast<double>(left) / static_cast<double>(run_.steps_per_epoch) *
                                static_cast<double>(images_per_epoch_) / std::max(rate, 1e-9);
    log_.draw({.epoch = last.epoch,
               .epochs = run_.epochs,
               .step = last.step_in_epoch,
               .steps = run_.steps_per_epoch,
               .loss = last.loss,
               .images_per_second = rate,
               .seconds_left = seconds_left});
  }

  Log& log_;
  RunLength run_;
  std::int64_t images_per_epoch_;
  StepTimer timer_;
  Clock::time_point begin_;  // of the running epoch, in this process
  std::int64_t images_ = 0;  // since then
};

}  // namespace

std::unique_ptr<RunListener> make_log_listener(Log& log, const RunLength& run,
                                               std::int64_t images_per_epoch) {
  return std::make_unique<LogListener>(log, run, images_per_epoch);
}

}  // namespace dpll
