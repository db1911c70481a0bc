#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <system_error>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/files.h"

namespace dpll {
namespace {

// The process id that the holder of a lock file wrote into it; empty when it cannot be read.
std::string holder_of(int file) {
  char text[32] = {};
  const ssize_t n = pread(file, text, sizeof(text) - 1, 0);
  return n > 0 ? fmt::format(" (process {})", std::string(text, static_cast<std::size_t>(n))) : "";
}

// A new folder is there after a power cut once the folder that names it is on disk.
void sync_parents(const std::string& path) {
  const std::filesystem::path run = std::filesystem::absolute(path).lexically_normal();
  for (const std::filesystem::path& folder : {run.parent_path(), run.parent_path().parent_path()}) {
    const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) continue;  // a folder that may not be read: nothing to be done
    fsync(file);
    close(file);
  }
}

// Those of write_file_atomically(), NAME.DRAWN.tmp, and of earlier versions, NAME.PROCESS-N.tmp. Nobody else
// writes here: the lock is ours.
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
  const std::string lock_path = file(".lock");
  lock_ = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0)
    fail(ExitCode::run, "cannot write into the run folder '{}': {}", path_, std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    const std::string holder = holder_of(lock_);
    close(lock_);
    if (reason != EWOULDBLOCK) {
      fail(ExitCode::run, "the run folder '{}' cannot be locked: flock: {}", path_, std::strerror(reason));
    }
    fail(ExitCode::run,
         "the run folder '{}' is in use by another process{}; wait for it or choose another run.name", path_,
         holder);
  }
  // Between open() and flock() the last holder may have removed the file: a lock on a file without a name
  // keeps nobody out.
  struct stat locked {
  }, named{};
  if (fstat(lock_, &locked) != 0 || stat(lock_path.c_str(), &named) != 0 || locked.st_ino != named.st_ino) {
    close(lock_);
    fail(ExitCode::run,
         "the run folder '{}' is in use by another process; wait for it or choose another run.name", path_);
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(lock_, 0) != 0 || pwrite(lock_, pid.data(), pid.size(), 0) < 0) {
    const std::string reason = std::strerror(errno);
    close(lock_);
    fail(ExitCode::run, "cannot write '{}': {}", lock_path, reason);
  }
  remove_temporary_files(path_);
}

RunFolder::~RunFolder() {
  unlink(file(".lock").c_str());
  close(lock_);
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

bool RunFolder::holds_results_of(int epochs, bool average) const {
  for (const char* name : {run_files::kModel, run_files::kLabels, run_files::kSummary}) {
    if (!has(name)) return false;
  }
  if (average && !has(run_files::kAverageModel)) return false;
  const std::vector<std::uint8_t> bytes = read_file(file(run_files::kSummary));
  const nlohmann::json summary = nlohmann::json::parse(bytes, nullptr, false);
  return summary.is_object() && summary.contains("epochs") && summary["epochs"] == epochs;
}

std::string RunFolder::tuning() const {
  if (!has(run_files::kTuning)) return "";
  const std::vector<std::uint8_t> bytes = read_file(file(run_files::kTuning));
  return {bytes.begin(), bytes.end()};
}

}  // namespace dpll
