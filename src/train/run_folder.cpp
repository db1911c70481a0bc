#include "train/run_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <system_error>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/files.h"
#include "io/write_all.h"

namespace dpll {
namespace {

// A new folder survives a power cut only after its parent folder is synced.
void sync_parents(const std::string& path) {
  const std::filesystem::path run = std::filesystem::absolute(path).lexically_normal();
  for (const std::filesystem::path& folder : {run.parent_path(), run.parent_path().parent_path()}) {
    const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) continue;  // a folder without read permission cannot be synced
    sync_to_disk(file);
    close(file);
  }
}

// Removes the temporary files of write_file_atomically(), NAME.DRAWN.tmp, and of earlier versions,
// NAME.PROCESS-N.tmp. No other process writes here, because this process has the lock.
void remove_temporary_files(const std::string& path) {
  static const std::regex pattern(R"(.+\.([0-9a-f]{16}|[0-9]+-[0-9]+)\.tmp)");
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) {
    if (std::regex_match(entry.path().filename().string(), pattern)) unlink(entry.path().c_str());
  }
}

}  // namespace

RunFolder::RunFolder(const RunConfig::Run& run, bool must_exist) : path_(run.out_dir + "/" + run.name) {
  std::error_code error;
  if (must_exist && !std::filesystem::is_directory(path_, error)) {
    fail(ExitCode::run, "there is no run folder '{}' to resume from", path_);
  }
  std::filesystem::create_directories(path_, error);
  if (error) fail(ExitCode::run, "cannot create the run folder '{}': {}", path_, error.message());
  sync_parents(path_);
  if (run.lock) {
    lock_.emplace(path_);
    remove_temporary_files(path_);
  }
}

bool RunFolder::has(const std::string& name) const {
  return std::filesystem::exists(file(name));
}

bool RunFolder::holds_a_run() const {
  return can_be_resumed() || has(run_files::kModel) || has(run_files::kSummary);
}

bool RunFolder::can_be_resumed() const {
  return has(run_files::kCheckpoint) || has(run_files::kPreviousCheckpoint);
}

bool RunFolder::holds_results_of(int epochs, std::int64_t steps, bool average) const {
  for (const char* name : {run_files::kModel, run_files::kLabels, run_files::kSummary}) {
    if (!has(name)) return false;
  }
  if (average && !has(run_files::kAverageModel)) return false;
  const std::vector<std::uint8_t> bytes = read_file(file(run_files::kSummary));
  const nlohmann::json summary = nlohmann::json::parse(bytes, nullptr, false);
  if (!summary.is_object() || !summary.contains("epochs")) return false;
  return summary["epochs"] == epochs && summary.value("steps", steps) == steps;
}

std::string RunFolder::tuning() const {
  if (!has(run_files::kTuning)) return "";
  const std::vector<std::uint8_t> bytes = read_file(file(run_files::kTuning));
  return {bytes.begin(), bytes.end()};
}

}  // namespace dpll
