// The folder of a run: creates it, locks it against a second process, and defines the names of its files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "train/folder_lock.h"

namespace dpll {

class RunFolder {
 public:
  // Creates out_dir/name if needed and, with run.lock, locks it. Error(run) if it cannot be created or
  // written, if another process holds the lock, or, with `must_exist`, if it does not exist (nothing is
  // created then). Once locked, removes the temporary files of a killed process.
  explicit RunFolder(const RunConfig::Run& run, bool must_exist = false);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  // The messages of the lock, one line each.
  std::vector<std::string> notes() const { return lock_ ? lock_->notes() : std::vector<std::string>(); }
  bool has(const std::string& name) const;
  // Does the folder have a checkpoint or a result? A table or a log of a process that was killed before its
  // first checkpoint does not count.
  bool holds_a_run() const;
  // Is there a checkpoint, or the previous one?
  bool can_be_resumed() const;
  // Are all results there, after so many epochs and steps? `average`: also the averaged model.
  bool holds_results_of(int epochs, std::int64_t steps, bool average) const;
  // The autotuner's choices of this run before it stopped, so that a resumed run uses the same; or empty.
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
