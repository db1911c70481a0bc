#include "selftest/run_checks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "dpll/core/check.h"
#include "dpll/core/philox.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "selftest/temp_folder.h"
#include "train/run_folder.h"

namespace dpll::selftest {
namespace {

constexpr int kSamples = 96, kSide = 12, kClasses = 4, kBatch = 20, kEpochs = 4;

// RGB images: noise around a brightness that depends on the class.
void write_data(const std::string& path) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  PhiloxStream draw(1, Purpose::split, 0, 0, 0);
  for (int i = 0; i < kSamples; ++i) {
    const int label = i % kClasses;
    labels.push_back(label);
    for (int p = 0; p < kSide * kSide * 3; ++p) {
      pixels.push_back(static_cast<std::uint8_t>(50 * label + static_cast<int>(draw.next_below(100))));
    }
  }
  SafetensorsWriter writer;
  writer.add("images", DType::u8, {kSamples, kSide, kSide, 3}, pixels.data());
  writer.add("labels", DType::i32, {kSamples}, labels.data());
  writer.add("test_images", DType::u8, {kSamples, kSide, kSide, 3}, pixels.data());
  writer.add("test_labels", DType::i32, {kSamples}, labels.data());
  writer.write(path);
}

// A folder with data and a configuration: a wide residual network with dropout and the whole augmentation, a
// partial last batch, a checkpoint after every step.
class Runs {
 public:
  explicit Runs(const RunConfig::Run& run) {
    write_data(folder_.file("data.safetensors"));
    RunConfig config;
    config.run = run;
    config.run.out_dir = folder_.file("runs");
    config.run.name = "";
    config.run.epochs = kEpochs;
    config.data.dataset = "safetensors";
    config.data.path = folder_.file("data.safetensors");
    config.candidates.min_distractors = 1;
    config.views.policy = AugmentPolicy::plcr_cifar;
    config.model.depth = 10;
    config.model.width = 1;
    config.model.dropout = 0.1;
    std::get<Plcr>(config.methods).ramp_epochs = 2;
    config.optimiser.batch = kBatch;
    config.optimiser.lr = 0.02;
    config.optimiser.ema = 0.9;
    config.evaluation.batch = 64;
    config.log.steps = 1;
    config.log.charts = false;
    config.checkpoint.every_steps = 1;
    write_file_atomically(folder_.file("selftest.ini"), to_ini(config));
  }

  std::string file(const std::string& run, const char* name) const {
    return folder_.file("runs/" + run + "/" + name);
  }
  pid_t start(const std::string& name) const {
    return spawn({folder_.file("selftest.ini"), "--set", "run.name=" + name});
  }
  pid_t resume(const std::string& name) const { return spawn({file(name, run_files::kConfig), "--resume"}); }

  // Empty, or the last message of the process if it failed.
  std::string finished(pid_t pid) const {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
    const std::vector<std::uint8_t> bytes = read_file(folder_.file("output"));
    std::string text(bytes.begin(), bytes.end());
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const std::string last = text.substr(text.rfind('\n') + 1);
    return fmt::format("the run ended with {} {}: {}", WIFEXITED(status) ? "exit code" : "signal",
                       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), last);
  }

  // The first file that differs between two runs, or empty.
  std::string difference(const std::string& a, const std::string& b) const {
    for (const char* name :
         {run_files::kModel, run_files::kAverageModel, run_files::kLabels, run_files::kSteps}) {
      if (read_file(file(a, name)) != read_file(file(b, name))) return name;
    }
    return "";
  }

 private:
  pid_t spawn(const std::vector<std::string>& arguments) const {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    const std::string output = folder_.file("output");
    std::vector<char*> words = {const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0) fail(ExitCode::run, "cannot start a process: {}", std::strerror(errno));
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int log = ::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ::dup2(log, STDOUT_FILENO);
      ::dup2(log, STDERR_FILENO);
      ::execv(program.c_str(), words.data());
      ::_exit(127);
    }
    return pid;
  }

  TempFolder folder_;
};

std::int64_t lines_in(const std::string& path) {
  if (!std::filesystem::exists(path)) return 0;
  const std::vector<std::uint8_t> bytes = read_file(path);
  return std::count(bytes.begin(), bytes.end(), '\n');
}

// Kills `pid` as soon as `rows` steps are on disk. False if it ended before.
bool kill_after(const Runs& runs, const std::string& name, pid_t pid, std::int64_t rows) {
  while (lines_in(runs.file(name, run_files::kSteps)) <= rows ||
         !std::filesystem::exists(runs.file(name, run_files::kCheckpoint))) {
    if (::waitpid(pid, nullptr, WNOHANG) != 0) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return !std::filesystem::exists(runs.file(name, run_files::kSummary));
}

}  // namespace

CheckResult check_repeat(const RunConfig::Run& run) {
  const Runs runs(run);
  for (const char* name : {"first", "second"}) {
    const std::string problem = runs.finished(runs.start(name));
    if (!problem.empty()) return {Verdict::failed, "repeat: " + problem};
  }
  const std::string different = runs.difference("first", "second");
  if (!different.empty()) {
    return {Verdict::failed,
            fmt::format("repeat: two runs of one configuration wrote different {}", different)};
  }
  return {Verdict::passed, "repeat: two runs of one configuration wrote the same bytes"};
}

CheckResult check_resume(const RunConfig::Run& run) {
  const Runs runs(run);
  const std::string problem = runs.finished(runs.start("whole"));
  if (!problem.empty()) return {Verdict::failed, "resume: " + problem};
  if (!kill_after(runs, "killed", runs.start("killed"), 7)) {
    return {Verdict::skipped, "resume: the run ended before it could be killed"};
  }
  const std::string again = runs.finished(runs.resume("killed"));
  if (!again.empty()) return {Verdict::failed, "resume: " + again};
  const std::string different = runs.difference("whole", "killed");
  if (!different.empty()) {
    return {Verdict::failed,
            fmt::format("resume: a run that was killed and resumed wrote another {} than one left alone",
                        different)};
  }
  return {Verdict::passed, "resume: a run that was killed and resumed wrote the bytes of one left alone"};
}

}  // namespace dpll::selftest
