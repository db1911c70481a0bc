// What ends a run early, what it leaves, and what does not end it: signals, run.max_hours, a console that
// goes away.
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"

using namespace dpll;
using namespace dpll::test;

namespace fs = std::filesystem;

namespace {

// Grey images whose brightness tells the class, in one safetensors file.
void write_data(const std::string& path, int train, int test, int side, int channels) {
  SafetensorsWriter writer;
  for (const auto& [prefix, count] :
       {std::pair{std::string(), train}, std::pair{std::string("test_"), test}}) {
    const std::int64_t pixels = std::int64_t{side} * side * channels;
    std::vector<std::uint8_t> images;
    std::vector<std::int32_t> labels;
    for (int i = 0; i < count; ++i) {
      labels.push_back(i % 4);
      for (std::int64_t p = 0; p < pixels; ++p) {
        images.push_back(static_cast<std::uint8_t>(60 * (i % 4) + static_cast<int>((p * 7 + i * 13) % 50)));
      }
    }
    writer.add(prefix + "images", DType::u8, {count, side, side, channels}, images.data());
    writer.add(prefix + "labels", DType::i32, {count}, labels.data());
  }
  writer.write(path);
}

// Eight images to train on and many to evaluate, one at a time: nearly all of the time is evaluation.
std::vector<std::string> long_evaluation(const EngineRuns& runs, int test) {
  const std::string path = runs.file("data.safetensors");
  write_data(path, 8, test, 28, 1);
  return {"data.dataset=safetensors", "data.path=" + path, "evaluation.batch=1", "log.steps=1",
          "log.charts=false",         "optimiser.lr=0.01", "run.epochs=2"};
}

void wait_for(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (!condition()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::size_t lines_in(const std::string& path) {
  return fs::exists(path) ? lines_of(read_text(path)).size() : 0;
}

void check_same(const EngineRuns& runs, const std::string& a, const std::string& b) {
  for (const char* name : {"model.safetensors", "labels.csv", "steps.csv"}) {
    CAPTURE(name);
    CHECK(read_file(runs.run_file(a, name)) == read_file(runs.run_file(b, name)));
  }
}

ProcessResult in_shell(const std::vector<std::string>& command, const std::string& before,
                       const std::string& after) {
  std::string line = before;
  for (const std::string& word : command) line += " '" + word + "'";
  return run_process({"/bin/sh", "-c", line + after});
}

}  // namespace

TEST_CASE(
    "stop: a signal in the middle of an evaluation leaves the trained epoch, which is evaluated later") {
  const EngineRuns runs;
  const std::vector<std::string> settings = long_evaluation(runs, 600);
  require_done(runs.train("whole", settings));
  for (const int signal : {SIGTERM, SIGUSR1, SIGHUP}) {
    CAPTURE(signal);
    const std::string name = "stopped" + std::to_string(signal);
    Child child(runs.command(name, settings), {});
    wait_for([&] { return lines_in(runs.run_file(name, "steps.csv")) == 2 || !child.running(); });
    child.signal(signal);
    if (signal == SIGTERM) child.signal(signal);  // as scripts do that pass it on
    const ProcessResult stopped = child.wait();
    CHECK(stopped.exit_code == 128 + signal);
    CHECK_MESSAGE(has(stopped.out, "in epoch 1 of 2 before its evaluation"), stopped.out, stopped.err);
    CHECK(has(stopped.out, "to go on: dpll_engine " + runs.run_file(name, "config.ini") + " --resume"));
    CHECK(lines_in(runs.run_file(name, "metrics.csv")) == 0);
    const ProcessResult resumed = runs.resume(name);
    require_done(resumed);
    CHECK(has(resumed.out, "going on from epoch 1, step 1 of "));
    check_same(runs, "whole", name);
    const auto accuracy_of = [&](const std::string& run) {
      const auto summary = nlohmann::json::parse(read_text(runs.run_file(run, "summary.json")));
      return summary.at("protocols").dump();
    };
    CHECK(accuracy_of("whole") == accuracy_of(name));
  }
}

TEST_CASE("stop: the time that a run took is what the user waited, evaluation included") {
  const EngineRuns runs;
  require_done(runs.train("a", long_evaluation(runs, 500)));
  const auto summary = nlohmann::json::parse(read_text(runs.run_file("a", "summary.json")));
  const double training = summary.at("last_epoch").at("seconds");
  CHECK(summary.at("seconds").get<double>() > 2 * 2 * training);
}

TEST_CASE(
    "stop: after run.max_hours there is a checkpoint and exit code 75, and a loop of starts gets done") {
  const EngineRuns runs({"run.epochs=2", "log.steps=1", "log.charts=false"});
  require_done(runs.train("whole"));
  // Too short for a step: each start does what it began with, none of it is lost.
  const std::vector<std::string> settings = {"run.max_hours=1e-9", "run.resume=auto"};
  ProcessResult result = runs.train("limited", settings);
  CHECK(result.exit_code == 75);
  CHECK(has(result.out, "stopped by run.max_hours = 1e-09 before the first step"));
  REQUIRE(fs::exists(runs.run_file("limited", "checkpoint.safetensors")));
  // Long enough for a step but not for all: a slow start may use up a short limit, which is then doubled.
  double hours = 0.0001;
  do {
    hours *= 2;
    const std::string limit = "run.max_hours=" + fmt::format("{}", hours);
    Child child(runs.command("limited", {limit, "run.epochs=100000", "run.resume=auto"}), {});
    result = child.wait();
    CHECK(result.exit_code == 75);
  } while (hours < 0.1 && has(result.out, "before the first step"));
  const std::string stopped_by = "stopped by run.max_hours = " + fmt::format("{}", hours);
  CHECK_MESSAGE((has(result.out, stopped_by + " in epoch ") || has(result.out, stopped_by + " after epoch ")),
                result.out);
  CHECK_FALSE(has(result.out, "changed since the checkpoint: run.max_hours"));
  // Between two epochs the line names the one that is done, not one that the run may not have.
  fs::remove_all(runs.run_folder("limited"));
  require_done(runs.train("limited", {"run.epochs=1"}));
  result = runs.resume("limited", {"run.epochs=2", "run.max_hours=1e-9"});
  CHECK(result.exit_code == 75);
  CHECK_MESSAGE(has(result.out, "stopped by run.max_hours = 1e-09 after epoch 1 of 2 ("), result.out);
  // Without a limit it ends as if nothing had been.
  fs::remove_all(runs.run_folder("limited"));
  CHECK(runs.train("limited", settings).exit_code == 75);
  require_done(runs.resume("limited", {"run.max_hours=0"}));
  check_same(runs, "whole", "limited");
}

TEST_CASE("stop: a second Ctrl-C ends the process at once, with the last checkpoint intact") {
  const EngineRuns runs;
  const std::string path = runs.file("data.safetensors");
  write_data(path, 64, 4, 32, 3);  // a step of a second or so
  Child child(runs.command("a", {"data.dataset=safetensors", "data.path=" + path,
                                 "model.architecture=wide_resnet", "model.depth=16", "model.width=2",
                                 "optimiser.batch=32", "checkpoint.every_steps=1", "log.steps=1"}),
              {});
  wait_for([&] { return fs::exists(runs.run_file("a", "checkpoint.safetensors")) || !child.running(); });
  child.signal(SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  child.signal(SIGINT);
  const ProcessResult ended = child.wait();
  CHECK(ended.exit_code == 128 + SIGINT);
  CHECK(has(ended.err, "ended at once by a signal"));
  CHECK_FALSE(has(ended.out, "stopped by"));
  const ProcessResult again = runs.resume("a", {"run.max_hours=1e-9"});
  CHECK(again.exit_code == 75);
  CHECK(has(again.out, "going on from epoch 1, step "));
}

TEST_CASE("stop: an annotator that is stopped goes on where it was, and the run is that of one left alone") {
  const EngineRuns runs;
  const std::string path = runs.file("data.safetensors");
  write_data(path, 40, 8, 28, 1);
  const std::vector<std::string> settings = {"data.dataset=safetensors",
                                             "data.path=" + path,
                                             "candidates.mode=instance",
                                             "annotator.epochs=25",
                                             "annotator.batch=8",
                                             "annotator.lr=0.001",
                                             "annotator.bn_batch=8",
                                             "log.charts=false",
                                             "log.steps=1",
                                             "run.epochs=1"};
  const auto with_cache = [&](const std::string& cache) {
    std::vector<std::string> all = settings;
    all.push_back("annotator.cache=" + runs.file(cache));
    return all;
  };
  require_done(runs.train("whole", with_cache("whole-cache")));
  Child child(runs.command("stopped", with_cache("cache")), {});
  const std::string log = runs.run_file("stopped", "train.log");
  wait_for(
      [&] { return (fs::exists(log) && has(read_text(log), "annotator: epoch 3/")) || !child.running(); });
  child.signal(SIGUSR1);
  const ProcessResult stopped = child.wait();
  CHECK(stopped.exit_code == 128 + SIGUSR1);
  CHECK(has(stopped.out, "annotator: the next start goes on from " + runs.file("cache") + "/annotator-"));
  CHECK(has(stopped.out, "stopped by SIGUSR1 before the first step; the same command begins it again"));
  const ProcessResult again = runs.train("stopped", with_cache("cache"));
  require_done(again);
  CHECK(has(again.out, "annotator: going on from epoch "));
  CHECK_FALSE(has(again.out, "annotator: epoch 2/25"));
  CHECK(std::distance(fs::directory_iterator(runs.file("cache")), fs::directory_iterator()) == 1);
  check_same(runs, "whole", "stopped");
}

TEST_CASE("stop: a console that goes away, is full or was never there changes no byte of a run") {
  const EngineRuns runs({"run.epochs=2", "log.steps=1", "log.charts=false"});
  require_done(runs.train("whole"));
  in_shell(runs.command("pipe"), "", " | head -1");
  require_done(in_shell(runs.command("full"), "exec", " > /dev/full 2> /dev/full"));
  require_done(in_shell(runs.command("closed"), "exec", " <&- >&- 2>&-"));
  for (const char* name : {"pipe", "full", "closed"}) {
    CAPTURE(name);
    check_same(runs, "whole", name);
    CHECK(has(read_text(runs.run_file(name, "train.log")), "done in"));
    CHECK(lines_in(runs.run_file(name, "metrics.csv")) == 3);
    require_done(runs.resume(name));
  }
}

TEST_CASE("stop: a terminal that is closed stops the run in order, unless it was started to survive that") {
  const EngineRuns runs;
  const std::vector<std::string> settings = long_evaluation(runs, 600);
  std::vector<std::string> command = runs.command("a", settings);
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(child >= 0);
  if (child == 0) {
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  wait_for([&] { return lines_in(runs.run_file("a", "steps.csv")) == 2; });
  close(terminal);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 128 + SIGHUP);
  CHECK(has(read_text(runs.run_file("a", "train.log")), "stopped by SIGHUP in epoch 1"));

  Child survivor({"/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh", command[0], command[1], "--set",
                  "run.name=b", "--set", "run.epochs=1", "--set", "log.steps=1"},
                 {});
  wait_for([&] { return lines_in(runs.run_file("b", "steps.csv")) >= 2 || !survivor.running(); });
  survivor.signal(SIGHUP);
  require_done(survivor.wait());
}
