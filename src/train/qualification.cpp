#include "train/qualification.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/files.h"
#include "train/signals.h"

namespace dpll {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_after(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

[[noreturn]] void fail_to_start(int error) {
  fail(ExitCode::device, "cannot start a process that qualifies the GPU: {}", std::strerror(error));
}

// The other process. The destructor ends that process and all processes that it started.
class Child {
 public:
  explicit Child(const std::string& request) {
    std::array<int, 2> in{}, out{};
    if (pipe2(in.data(), O_CLOEXEC) != 0) fail_to_start(errno);
    if (pipe2(out.data(), O_CLOEXEC) != 0) {
      const int error = errno;
      close(in[0]);
      close(in[1]);
      fail_to_start(error);
    }
    report_ = out[0];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    // The messages of libraries are discarded; the results come through the pipe.
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], kReportDescriptor);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    std::string words[] = {program, "qualify"};
    char* arguments[] = {words[0].data(), words[1].data(), nullptr};
    const int error = posix_spawn(&pid_, "/proc/self/exe", &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(in[0]);
    close(out[1]);
    if (error != 0) {
      close(in[1]);
      close(report_);
      fail_to_start(error);
    }
    send(in[1], request);
  }
  ~Child() {
    stop();
    close(report_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The next line; false at the end or, with timed_out, after `seconds`.
  bool next_line(std::string& line, double seconds, bool& timed_out) {
    const Clock::time_point begin = Clock::now();
    timed_out = false;
    for (;;) {
      const std::size_t end = buffer_.find('\n');
      if (end != std::string::npos) {
        line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return true;
      }
      const double left = seconds - seconds_after(begin);
      timed_out = left <= 0;
      if (timed_out) return false;
      pollfd waiting = {report_, POLLIN, 0};
      throw_if_stop_requested();
      // poll() does not notice a signal that comes right before it, so it waits for at most a second.
      const int ready = poll(&waiting, 1, static_cast<int>(std::min(left, 1.0) * 1000) + 1);
      if (ready <= 0) continue;
      std::array<char, 65536> bytes{};
      const ssize_t count = read(report_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      buffer_.append(bytes.data(), static_cast<std::size_t>(count));
    }
  }

  // Ends the process if it still runs, and returns how it ended: "signal 11 (Segmentation fault)".
  std::string stop() {
    if (pid_ < 0) return ending_;
    kill(-pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return ending_ = text_of(status);
  }
  // As stop(), but waits until the process ends by itself.
  std::string wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-pid_, SIGKILL);  // processes that it left
    pid_ = -1;
    return ending_ = text_of(status);
  }

 private:
  static std::string text_of(int status) {
    if (WIFSIGNALED(status))
      return fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return fmt::format("exit code {}", WEXITSTATUS(status));
  }
  // A pipe holds 64 KiB; the other process reads a longer request while it is written. If that process has
  // ended, the write fails, which must not end this process.
  static void send(int to, const std::string& text) {
    struct sigaction ignored {
    }, before{};
    ignored.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignored, &before);
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t count = write(to, text.data() + at, text.size() - at);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      at += static_cast<std::size_t>(count);
    }
    close(to);
    sigaction(SIGPIPE, &before, nullptr);
  }

  pid_t pid_ = -1;
  int report_ = -1;
  std::string buffer_, ending_;
};

Qualification::Outcome outcome_of(const std::string& word) {
  if (word == "passed") return Qualification::Outcome::passed;
  if (word == "failed") return Qualification::Outcome::failed;
  if (word == "refused") return Qualification::Outcome::refused;
  return Qualification::Outcome::absent;
}

Precision precision_of(const std::string& word) {
  for (const Precision precision : {Precision::f16, Precision::bf16, Precision::tf32}) {
    if (word == to_string(precision)) return precision;
  }
  return Precision::f32;
}

std::string cache_folder() {
  const char* const xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && xdg[0] == '/') return std::string(xdg) + "/dpll_engine";
  const char* const home = std::getenv("HOME");
  return home != nullptr && home[0] == '/' ? std::string(home) + "/.cache/dpll_engine" : "";
}

}  // namespace

QualificationLimits& qualification_limits() {
  static QualificationLimits limits;
  return limits;
}

Qualification qualify_gpu(const RunConfig& config, const std::string& choices, const Say& progress,
                          const Say& warn) {
  const QualificationLimits limits = qualification_limits();
  const double total = limits.total + (config.run.tuning_seconds > 0 ? 2 * config.run.tuning_seconds : 3600);
  const StopSignals::InOrder in_order;  // the other process is ended as well
  Child child(nlohmann::json({{"config", to_ini(config)}, {"choices", choices}}).dump());
  Qualification result;
  result.outcome = Qualification::Outcome::failed;
  std::string line, doing = "starting";
  const Clock::time_point begin = Clock::now();
  bool timed_out = false;
  while (child.next_line(line, std::min(limits.silence, total - seconds_after(begin)), timed_out)) {
    const nlohmann::json answer = nlohmann::json::parse(line, nullptr, false);
    if (!answer.is_object()) continue;  // cut short by the end of the process
    if (answer.contains("gpu")) {
      const nlohmann::json& gpu = answer["gpu"];
      result.gpu = {gpu.value("index", 0), gpu.value("name", ""), gpu.value("uuid", ""),
                    gpu.value("architecture", 0), true};
    }
    if (answer.contains("progress")) progress(doing = answer["progress"].get<std::string>());
    if (answer.contains("warning")) warn(answer["warning"].get<std::string>());
    if (!answer.contains("outcome")) continue;
    result.outcome = outcome_of(answer["outcome"].get<std::string>());
    result.precision = precision_of(answer.value("precision", ""));
    result.how = answer.value("how", "");
    result.check = answer.value("check", "");
    result.why = answer.value("why", "");
    result.choices = answer.value("choices", "");
    child.wait();
    return result;
  }
  result.check = doing;
  if (timed_out) {
    child.stop();
    result.why = fmt::format("no end after {:.0f} s", seconds_after(begin));
  } else {
    result.why = "it ended the process: " + child.wait();
  }
  return result;
}

QualificationMemory::QualificationMemory(const std::string& key) : key_(key) {
  const std::string folder = cache_folder();
  if (!folder.empty()) file_ = folder + "/gpu-" + sha256_hex(key.data(), key.size()).substr(0, 32) + ".json";
}

std::string QualificationMemory::recall() const {
  if (file_.empty() || !std::filesystem::exists(file_)) return "";
  try {
    const std::vector<std::uint8_t> bytes = read_file(file_);
    const nlohmann::json kept = nlohmann::json::parse(bytes);
    return kept.at("key") == key_ ? kept.at("verdict").dump() : "";
  } catch (const std::exception&) {
    return "";  // damaged: the test is repeated and its result written again
  }
}

void QualificationMemory::remember(const std::string& text, const Say& warn) const {
  if (file_.empty()) return;
  try {
    std::error_code ignored;  // the write below reports the error
    std::filesystem::create_directories(std::filesystem::path(file_).parent_path(), ignored);
    write_file_atomically(
        file_, nlohmann::json({{"key", key_}, {"verdict", nlohmann::json::parse(text)}}).dump(1) + "\n");
  } catch (const Error& error) {
    warn(fmt::format("the result of the GPU test is not stored: {}", error.what()));
  }
}

}  // namespace dpll
