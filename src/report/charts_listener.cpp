// Writes loss.png, accuracy.png and schedule.png during a run.
#include <algorithm>
#include <chrono>
#include <cstddef>

#include "report/listeners.h"

namespace dpll {
namespace {

class ChartsListener final : public RunListener {
 public:
  ChartsListener(const std::string& folder, const std::string& run_name)
      : folder_(folder), run_name_(run_name) {}

  std::string name() const override { return "charts"; }

  void start(const RunState& state) override { draw(state.history); }
  void epoch_done(const EpochFigures&, const RunState& state) override {
    if (Clock::now() >= next_) draw(state.history);
  }
  void finish(const RunState& state) override { draw(state.history); }
  void stop(const RunState& state) override { draw(state.history); }

 private:
  using Clock = std::chrono::steady_clock;

  void draw(const History& history) {
    if (history.rows.size() == drawn_epochs_) return;
    constexpr std::chrono::seconds kLeast(5);
    constexpr int kShare = 50;  // 2 % of the time
    const Clock::time_point begin = Clock::now();
    next_ = begin + kLeast;
    draw_run_charts(history, run_name_, folder_);
    drawn_epochs_ = history.rows.size();
    const Clock::time_point end = Clock::now();
    next_ = end + std::max<Clock::duration>(kLeast, kShare * (end - begin));
  }

  std::string folder_, run_name_;
  std::size_t drawn_epochs_ = 0;
  Clock::time_point next_ = Clock::time_point::min();
};

}  // namespace

std::unique_ptr<RunListener> make_charts_listener(const std::string& folder, const std::string& run_name) {
  return std::make_unique<ChartsListener>(folder, run_name);
}

}  // namespace dpll
