// A run that is killed and resumed ends with the bytes of one that was never disturbed.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "cli/engine_runs.h"

using dpll::read_file;
using namespace dpll::test;

namespace {

std::size_t rows_in(const std::string& csv_path) {
  std::ifstream in(csv_path);
  std::string line;
  std::size_t rows = 0;
  while (std::getline(in, line)) ++rows;
  return rows > 0 ? rows - 1 : 0;
}

// Starts `command` and sends `signal` as soon as run's steps.csv has `rows` rows and a checkpoint lies beside
// it (a step's row is written before its checkpoint).
ProcessResult stop_after(const std::vector<std::string>& command, const std::string& steps_csv,
                         std::size_t rows, int signal) {
  Child child(command, {});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  const auto checkpoint = std::filesystem::path(steps_csv).parent_path() / "checkpoint.safetensors";
  const auto ready = [&] { return rows_in(steps_csv) >= rows && std::filesystem::exists(checkpoint); };
  while (child.running() && !ready() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  child.signal(signal);
  return child.wait();
}

// metrics.csv without its two columns of time.
std::string without_times(const std::string& csv) {
  std::string text;
  std::vector<bool> keep;
  for (const std::string& line : lines_of(csv)) {
    std::istringstream in(line);
    std::size_t column = 0;
    for (std::string cell; std::getline(in, cell, ','); ++column) {
      if (keep.size() <= column) keep.push_back(cell != "images_per_second" && cell != "seconds");
      if (keep[column]) text += cell + ",";
    }
    text += "\n";
  }
  return text;
}

void check_same_results(const EngineRuns& runs, const std::string& whole, const std::string& resumed) {
  for (const char* name : {"model.safetensors", "steps.csv", "labels.csv"}) {
    CAPTURE(name);
    CHECK(read_file(runs.run_file(whole, name)) == read_file(runs.run_file(resumed, name)));
  }
  CHECK(without_times(read_text(runs.run_file(whole, "metrics.csv"))) ==
        without_times(read_text(runs.run_file(resumed, "metrics.csv"))));
}

const std::vector<std::string> kEveryStep = {"run.epochs=3", "checkpoint.every_steps=1", "log.steps=1",
                                             "log.charts=false"};

// Kills a run with SIGKILL when steps.csv has each of `moments` rows, resumes it each time, and compares.
void kill_and_compare(const EngineRuns& runs, const std::vector<std::size_t>& moments) {
  require_done(runs.train("whole"));
  const std::string steps = runs.run_file("killed", "steps.csv");
  for (std::size_t i = 0; i < moments.size(); ++i) {
    const bool first = i == 0;
    const ProcessResult killed = stop_after(first ? runs.command("killed") : runs.resume_command("killed"),
                                            steps, moments[i], SIGKILL);
    CHECK_MESSAGE(killed.exit_code == 128 + SIGKILL, killed.out, killed.err);
    CHECK_FALSE(std::filesystem::exists(runs.run_file("killed", "summary.json")));
  }
  require_done(run_process(runs.resume_command("killed")));
  check_same_results(runs, "whole", "killed");
}

}  // namespace

TEST_CASE("a run killed with SIGKILL at several steps and resumed ends with the same bytes") {
  // 4 steps an epoch: after the first step, in the middle of an epoch, at its end, in the last epoch.
  kill_and_compare(EngineRuns(kEveryStep), {2, 6, 8, 10});
}

TEST_CASE("averaged weights survive SIGKILL, with checkpoints once an epoch and two threads") {
  EngineRuns runs({"run.epochs=2", "log.steps=1", "log.charts=false", "optimiser.ema=0.9", "run.threads=2"});
  kill_and_compare(runs, {5, 6});
  CHECK(read_file(runs.run_file("whole", "model_ema.safetensors")) ==
        read_file(runs.run_file("killed", "model_ema.safetensors")));
  CHECK(read_file(runs.run_file("whole", "model_ema.safetensors")) !=
        read_file(runs.run_file("whole", "model.safetensors")));
}

TEST_CASE("a WideResNet with dropout killed with SIGKILL and resumed ends with the same bytes") {
  std::vector<std::string> settings = kEveryStep;
  settings.insert(settings.end(), {"model.architecture=wide_resnet", "model.depth=10", "model.width=1",
                                   "model.dropout=0.3", "run.epochs=2"});
  kill_and_compare(EngineRuns(settings), {3, 6});
}

TEST_CASE("SIGTERM and SIGINT leave a checkpoint, say how to go on, and change nothing in the result") {
  EngineRuns runs({"run.epochs=3", "log.steps=1", "log.charts=false"});
  require_done(runs.train("whole"));
  for (const int signal : {SIGTERM, SIGINT}) {
    CAPTURE(signal);
    const std::string name = "stopped" + std::to_string(signal);
    const ProcessResult stopped = stop_after(runs.command(name), runs.run_file(name, "steps.csv"), 5, signal);
    CHECK(stopped.exit_code == 128 + signal);
    CHECK(has(stopped.out, "to go on: dpll_engine " + runs.run_file(name, "config.ini") + " --resume"));
    CHECK(std::filesystem::exists(runs.run_file(name, "checkpoint.safetensors")));
    CHECK(std::filesystem::exists(runs.run_file(name, "labels.csv")));
    CHECK_FALSE(std::filesystem::exists(runs.run_file(name, "model.safetensors")));
    const ProcessResult resumed = run_process(runs.resume_command(name));
    require_done(resumed);
    CHECK(has(resumed.out, "going on from epoch 2, step "));
    check_same_results(runs, "whole", name);
  }
}
