#include "train/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <system_error>

#include "core/process.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "io/write_all.h"

namespace dpll {
namespace {

// The process id that the holder of a lock file wrote into it; empty if it cannot be read.
std::string holder_of(int file) {
  char text[32] = {};
  const ssize_t n = pread(file, text, sizeof(text) - 1, 0);
  return n > 0 ? fmt::format(" (process {})", std::string(text, static_cast<std::size_t>(n))) : "";
}

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The holder of an owner file: the values that identify a process.
struct Owner {
  std::string host, boot, pid_namespace, start;
  pid_t process = 0;

  std::string text() const {
    return fmt::format("host = {}\nboot = {}\nnamespace = {}\nprocess = {}\nstart = {}\n", host, boot,
                       pid_namespace, process, start);
  }
};

std::string first_line(std::string text) {
  return text.substr(0, text.find('\n'));
}

Owner this_process() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  std::error_code none;  // without /proc
  return {.host = first_line(host.data()),
          .boot = first_line(text_of("/proc/sys/kernel/random/boot_id")),
          .pid_namespace = std::filesystem::read_symlink("/proc/self/ns/pid", none).string(),
          .start = process_start(getpid()),
          .process = getpid()};
}

// An owner without host and process if text() did not write the text.
Owner parse_owner(const std::string& text) {
  std::map<std::string, std::string> fields;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find(" = ");
    if (equals != std::string::npos) fields[line.substr(0, equals)] = line.substr(equals + 3);
  }
  Owner owner{.host = fields["host"],
              .boot = fields["boot"],
              .pid_namespace = fields["namespace"],
              .start = fields["start"]};
  const std::string& digits = fields["process"];
  std::from_chars(digits.data(), digits.data() + digits.size(), owner.process);
  return owner;
}

enum class Fate { runs, gone, unknown };

Fate fate_of(const Owner& owner, const Owner& self) {
  if (owner.host.empty() || owner.process <= 0 || owner.host != self.host) return Fate::unknown;
  if (owner.boot != self.boot) return Fate::gone;  // this machine was restarted since then
  if (owner.pid_namespace != self.pid_namespace) return Fate::unknown;
  return process_runs(owner.process, owner.start) ? Fate::runs : Fate::gone;
}

// Two processes may find the same file of an ended process. One of them moves it away. The other one may be
// late and move the file that the first one has created since; it notices this and moves the file back.
void remove_owner_file(const std::string& path, const std::string& text) {
  const std::string aside = fmt::format("{}.{:016x}.tmp", path, static_cast<unsigned>(getpid()));
  if (std::rename(path.c_str(), aside.c_str()) != 0) return;
  if (text_of(aside) == text) {
    unlink(aside.c_str());
  } else {
    std::rename(aside.c_str(), path.c_str());
  }
}

}  // namespace

FolderLock::FolderLock(const std::string& folder)
    : folder_(folder), lock_path_(folder + "/.lock"), owner_path_(folder + "/.lock.owner") {
  if (lock_by_flock()) {
    clear_owner_file();
  } else {
    lock_by_owner_file();
  }
}

FolderLock::~FolderLock() {
  if (owns_) unlink(owner_path_.c_str());
  if (file_ < 0) return;
  unlink(lock_path_.c_str());
  close(file_);
}

bool FolderLock::lock_by_flock() {
  const int file = open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0)
    fail(ExitCode::run, "cannot write into the run folder '{}': {}", folder_, std::strerror(errno));
  int reason = 0;
  while (flock(file, LOCK_EX | LOCK_NB) != 0) {
    reason = errno;
    if (reason != EINTR) break;
    reason = 0;
  }
  if (reason != 0) {
    const std::string holder = holder_of(file);
    close(file);
    if (reason == ENOLCK || reason == ENOSYS || reason == EOPNOTSUPP) {
      if (holder.empty()) unlink(lock_path_.c_str());
      notes_.push_back(fmt::format(
          "the file system of '{}' has no locks (flock: {}); the file .lock.owner keeps other processes out",
          folder_, std::strerror(reason)));
      return false;
    }
    if (reason != EWOULDBLOCK) {
      fail(ExitCode::run,
           "the run folder '{}' cannot be locked: flock: {}; run.lock = false goes without a lock", folder_,
           std::strerror(reason));
    }
    fail(ExitCode::run,
         "the run folder '{}' is in use by another process{}; wait for it or choose another run.name",
         folder_, holder);
  }
  // Between open() and flock() the last holder may have removed the file. A lock on a file without a name
  // does not exclude any process.
  struct stat locked {
  }, named{};
  if (fstat(file, &locked) != 0 || stat(lock_path_.c_str(), &named) != 0 || locked.st_ino != named.st_ino) {
    close(file);
    fail(ExitCode::run,
         "the run folder '{}' is in use by another process; wait for it or choose another run.name", folder_);
  }
  const std::string pid = std::to_string(getpid());
  try {
    if (ftruncate(file, 0) != 0) {
      fail(ExitCode::run, "cannot write '{}': {}", lock_path_, std::strerror(errno));
    }
    write_all(file, {reinterpret_cast<const std::uint8_t*>(pid.data()), pid.size()}, lock_path_);
  } catch (...) {
    close(file);
    throw;
  }
  file_ = file;
  return true;
}

void FolderLock::lock_by_owner_file() {
  const std::string text = this_process().text();
  constexpr int kAttempts = 10;  // each after another process's file has been removed
  for (int i = 0; i < kAttempts; ++i) {
    const int file = open(owner_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file >= 0) {
      owns_ = true;
      try {
        write_all(file, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, owner_path_);
        sync_to_disk(file);
      } catch (...) {
        close(file);
        unlink(owner_path_.c_str());
        throw;
      }
      close(file);
      return;
    }
    if (errno != EEXIST) fail(ExitCode::run, "cannot write '{}': {}", owner_path_, std::strerror(errno));
    clear_owner_file();
  }
  fail(ExitCode::run, "the run folder '{}' is in use by other processes; choose another run.name", folder_);
}

// Removes the owner file of a process that has ended, or fails.
void FolderLock::clear_owner_file() {
  if (access(owner_path_.c_str(), F_OK) != 0) return;
  const std::string text = text_of(owner_path_);
  const Owner owner = parse_owner(text);
  switch (fate_of(owner, this_process())) {
    case Fate::runs:
      fail(ExitCode::run,
           "the run folder '{}' is in use by another process (process {}); wait for it or choose another "
           "run.name",
           folder_, owner.process);
    case Fate::unknown:
      fail(ExitCode::run,
           "the run folder '{}' is in use by {}; whether that still runs cannot be seen from here: make sure "
           "that it does not, and remove '{}'",
           folder_,
           owner.host.empty() ? "a process that did not say which"
                              : fmt::format("process {} on host '{}'", owner.process, owner.host),
           owner_path_);
    case Fate::gone:
      remove_owner_file(owner_path_, text);
      notes_.push_back(
          fmt::format("'{}': process {}, which used this folder, has ended; its lock is taken over", folder_,
                      owner.process));
  }
}

}  // namespace dpll
