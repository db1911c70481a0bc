// The folder of a run: created, locked against a second process, and the names of what lies in it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "train/folder_lock.h"

namespace dpll {

class RunFolder {
 public:
  // Creates out_dir/name when needed and, with run.lock, takes its lock. Error(run) when it cannot be created
  // or written, when another process holds it, or, with `must_exist`, when it is not there: nothing is
  // created then. With the lock, removes what a killed process left of files that it was writing.
  explicit RunFolder(const RunConfig::Run& run, bool must_exist = false);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  // What the lock has to say, a line each.
  std::vector<std::string> notes() const { return lock_ ? lock_->notes() : std::vector<std::string>(); }
  bool has(const std::string& name) const;
  // Is there something to lose: a checkpoint, or a result? A table or a log of a process that was killed
  // before its first checkpoint is neither.
  bool holds_a_run() const;
  // Can a run go on from here: is there a checkpoint, or the one before it?
  bool can_be_resumed() const;
  // Are all results there, and of so many epochs? `average`: also the averaged model.
  bool holds_results_of(int epochs, bool average) const;
  // The ways that this run's convolutions took before it stopped, so that it goes on with the same; or empty.
  std::string tuning() const;

 private:
  std::string path_;
  std::optional<FolderLock> lock_;
};

namespace run_files {
inline constexpr const char* kConfig = "config.ini";
inline constexpr const char* kLog = "train.log";
inline constexpr const char* kMetricsCsv = "metrics.csv";
inline constexpr const char* kMetricsJsonl = "metrics.jsonl";
inline constexpr const char* kSteps = "steps.csv";
inline constexpr const char* kCheckpoint = "checkpoint.safetensors";
inline constexpr const char* kPreviousCheckpoint = "checkpoint.previous.safetensors";
inline constexpr const char* kDamagedCheckpoint = "checkpoint.damaged.safetensors";
inline constexpr const char* kModel = "model.safetensors";
inline constexpr const char* kAverageModel = "model_ema.safetensors";
inline constexpr const char* kSelectedModel = "model_selected.safetensors";
inline constexpr const char* kInit = "init.safetensors";
inline constexpr const char* kLabels = "labels.csv";
inline constexpr const char* kReview = "review.csv";
inline constexpr const char* kSummary = "summary.json";
inline constexpr const char* kTuning = "tuning.json";
inline constexpr const char* kCandidates = "candidates.csv";
}  // namespace run_files

}  // namespace dpll
