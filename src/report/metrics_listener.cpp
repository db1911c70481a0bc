// Writes metrics.csv and metrics.jsonl during a run.
#include <filesystem>

#include "report/listeners.h"
#include "report/metrics_files.h"
#include "train/run_folder.h"

namespace dpll {
namespace {

class MetricsListener final : public RunListener {
 public:
  explicit MetricsListener(const std::string& folder)
      : csv_(folder + "/" + run_files::kMetricsCsv), jsonl_(folder + "/" + run_files::kMetricsJsonl) {}

  std::string name() const override { return "metrics"; }

  void start(const RunState& state) override {
    whole_ = false;
    if (!state.history.rows.empty() || std::filesystem::exists(csv_)) write(state.history);
  }

  void epoch_done(const EpochFigures&, const RunState& state) override {
    if (!whole_ || !append_metrics(state.history, csv_, jsonl_)) write(state.history);
  }

  // At the end both files are written completely, in case they were changed.
  void finish(const RunState& state) override {
    if (!state.history.rows.empty()) write(state.history);
  }
  void stop(const RunState& state) override { finish(state); }

 private:
  void write(const History& history) {
    whole_ = false;
    write_metrics(history, csv_, jsonl_);
    whole_ = true;
  }

  std::string csv_, jsonl_;
  bool whole_ = false;  // the files have every row except the newest
};

}  // namespace

std::unique_ptr<RunListener> make_metrics_listener(const std::string& folder) {
  return std::make_unique<MetricsListener>(folder);
}

}  // namespace dpll
