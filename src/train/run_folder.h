// The folder of a run: created, locked against a second process, and the names of what lies in it.
#pragma once

#include <string>

#include "dpll/config.h"

namespace dpll {

class RunFolder {
 public:
  // Creates out_dir/name when needed and takes its lock. Error(run) when it cannot be created or written, or
  // when another process holds it.
  explicit RunFolder(const RunConfig::Run& run);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  bool has(const std::string& name) const;
  // Does the folder hold anything of an earlier run?
  bool holds_a_run() const;
  // The ways that this run's convolutions took before it stopped, so that it goes on with the same; or empty.
  std::string tuning() const;

 private:
  std::string path_;
  int lock_ = -1;
};

namespace run_files {
inline constexpr const char* kConfig = "config.ini";
inline constexpr const char* kLog = "train.log";
inline constexpr const char* kMetricsCsv = "metrics.csv";
inline constexpr const char* kMetricsJsonl = "metrics.jsonl";
inline constexpr const char* kSteps = "steps.csv";
inline constexpr const char* kCheckpoint = "checkpoint.safetensors";
inline constexpr const char* kPreviousCheckpoint = "checkpoint.previous.safetensors";
inline constexpr const char* kModel = "model.safetensors";
inline constexpr const char* kAverageModel = "model_ema.safetensors";
inline constexpr const char* kSelectedModel = "model_selected.safetensors";
inline constexpr const char* kInit = "init.safetensors";
inline constexpr const char* kLabels = "labels.csv";
inline constexpr const char* kSummary = "summary.json";
inline constexpr const char* kTuning = "tuning.json";
inline constexpr const char* kCandidates = "candidates.csv";
}  // namespace run_files

}  // namespace dpll
