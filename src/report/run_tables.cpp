#include "report/run_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>

#include "dpll/core/check.h"
#include "train/run_folder.h"

namespace dpll {

RunTables::RunTables(const RunConfig& config, const std::string& folder, Log& log)
    : name_(config.run.name),
      folder_(folder + "/"),
      charts_(config.log.charts),
      every_steps_(config.log.steps),
      log_(log) {}

template <typename Write>
bool RunTables::attempt(const Write& write) {
  try {
    write();
    return true;
  } catch (const Error& error) {
    log_.warning(fmt::format("{}; it is tried again after the next epoch", error.what()));
    return false;
  }
}

void RunTables::begin(const History& history, std::int64_t steps) {
  if (!history.rows.empty() || std::filesystem::exists(folder_ + run_files::kMetricsCsv)) {
    write_metrics(history);
  }
  draw_charts(history);
  // Rows of steps that will be done again are cut, even where there will be no new ones.
  const std::string path = folder_ + run_files::kSteps;
  if (every_steps_ > 0) {
    steps_.emplace(path, steps);
  } else if (steps > 0) {
    StepsFile::cut(path, steps);
  }
}

void RunTables::epoch_done(const History& history) {
  if (!metrics_are_whole_ ||
      !append_metrics(history, folder_ + run_files::kMetricsCsv, folder_ + run_files::kMetricsJsonl)) {
    write_metrics(history);
  }
  if (!next_charts_ || Clock::now() >= *next_charts_) draw_charts(history);
}

void RunTables::finish(const History& history) {
  if (!history.rows.empty()) write_metrics(history);
  draw_charts(history);
}

void RunTables::write_metrics(const History& history) {
  metrics_are_whole_ = attempt([&] {
    dpll::write_metrics(history, folder_ + run_files::kMetricsCsv, folder_ + run_files::kMetricsJsonl);
  });
}

void RunTables::draw_charts(const History& history) {
  if (!charts_ || history.rows.size() == charted_epochs_) return;
  constexpr std::chrono::seconds kLeast(5);
  constexpr int kShare = 50;  // 2 % of the time
  const Clock::time_point begin = Clock::now();
  if (attempt([&] { draw_run_charts(history, name_, folder_); })) charted_epochs_ = history.rows.size();
  const Clock::time_point end = Clock::now();
  next_charts_ = end + std::max<Clock::duration>(kLeast, kShare * (end - begin));
}

}  // namespace dpll
