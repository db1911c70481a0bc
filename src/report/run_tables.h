// What a run's tables and charts show while it goes on: metrics.csv, metrics.jsonl, steps.csv, the charts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "dpll/config.h"
#include "dpll/run_charts.h"
#include "report/log.h"
#include "report/metrics_files.h"

namespace dpll {

// All are made from the history, which the checkpoint keeps: what cannot be written is a warning, and is
// there the next time.
class RunTables {
 public:
  // `folder`: of the run.
  RunTables(const RunConfig& config, const std::string& folder, Log& log);

  // A run begins or goes on after `steps` steps: what is there of other epochs and later steps is cut.
  void begin(const History& history, std::int64_t steps);
  // The last row of the history is new. Costs the same however many there are: the row is appended, and
  // charts are drawn every few seconds at most and for a small share of the time.
  void epoch_done(const History& history);
  // The run ends here, for now or for good: everything is written as it is to be found.
  void finish(const History& history);

  // Every run.log.steps steps there is a row.
  bool wants_step(std::int64_t step) const { return steps_.has_value() && step % every_steps_ == 0; }
  StepsFile& steps() { return *steps_; }

 private:
  using Clock = std::chrono::steady_clock;
  template <typename Write>
  bool attempt(const Write& write);
  void write_metrics(const History& history);
  void draw_charts(const History& history);

  std::string name_, folder_;
  bool charts_;
  std::int64_t every_steps_;
  Log& log_;
  std::optional<StepsFile> steps_;
  bool metrics_are_whole_ = false;  // the files hold every row but the newest
  std::size_t charted_epochs_ = 0;
  std::optional<Clock::time_point> next_charts_;
};

}  // namespace dpll
