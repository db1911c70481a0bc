#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

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

}  // namespace

RunFolder::RunFolder(const RunConfig::Run& run) : path_(run.out_dir + "/" + run.name) {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) fail(ExitCode::run, "cannot create the run folder '{}': {}", path_, error.message());
  const std::string lock_path = file(".lock");
  lock_ = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0)
    fail(ExitCode::run, "cannot write into the run folder '{}': {}", path_, std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = holder_of(lock_);
    close(lock_);
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
}

RunFolder::~RunFolder() {
  unlink(file(".lock").c_str());
  close(lock_);
}

bool RunFolder::has(const std::string& name) const {
  return std::filesystem::exists(file(name));
}

bool RunFolder::holds_a_run() const {
  for (const char* name : {run_files::kCheckpoint, run_files::kPreviousCheckpoint, run_files::kModel,
                           run_files::kMetricsCsv, run_files::kSummary}) {
    if (has(name)) return true;
  }
  return false;
}

std::string RunFolder::tuning() const {
  if (!has(run_files::kTuning)) return "";
  const std::vector<std::uint8_t> bytes = read_file(file(run_files::kTuning));
  return {bytes.begin(), bytes.end()};
}

}  // namespace dpll
