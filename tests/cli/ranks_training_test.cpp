// Runs that Open MPI or MPICH start on several ranks, as a user starts them.
#include <signal.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "cli/mpi_launchers.h"
#include "dpll/safetensors.h"
#include "support/depth.h"

using namespace dpll;
using namespace dpll::test;

namespace {

const std::vector<std::string> kSmall = {"log.charts=false", "log.progress=false", "log.steps=1",
                                         "optimiser.lr=0.01", "optimiser.batch=10"};

// The column of metrics.csv, a number an epoch.
std::vector<double> column_of(const std::string& csv, const std::string& name) {
  const std::vector<std::string> lines = lines_of(csv);
  std::vector<double> values;
  std::size_t column = 0;
  for (std::size_t line = 0; line < lines.size(); ++line) {
    std::vector<std::string> cells;
    std::istringstream in(lines[line]);
    for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
    if (line == 0) {
      column = static_cast<std::size_t>(std::find(cells.begin(), cells.end(), name) - cells.begin());
      REQUIRE(column < cells.size());
    } else {
      values.push_back(std::stod(cells.at(column)));
    }
  }
  return values;
}

void check_close(const std::vector<double>& got, const std::vector<double>& want, double relative) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK(std::abs(got[i] - want[i]) <= relative * std::abs(want[i]));
}

void check_training(const Mpi& mpi, const std::string& launcher) {
  std::vector<std::string> settings = kSmall;
  settings.back() = "optimiser.batch=12";  // the last batch of an epoch has 8 samples
  const EngineRuns runs(settings);
  require_done(run_process(runs.command("alone")));
  const std::vector<double> want = column_of(read_text(runs.run_file("alone", "metrics.csv")), "train_loss");
  for (const int ranks : {2, 3}) {
    CAPTURE(ranks);
    const std::string name = fmt::format("on-{}", ranks);
    const ProcessResult result = run_process(on_ranks(mpi, launcher, ranks, runs.command(name)));
    require_done(result);
    CHECK(has(result.out, fmt::format("{} ranks; batch norm over the samples of all", ranks)));
    // Rank 0 alone speaks.
    CHECK(result.out.find("epoch 1/2") == result.out.rfind("epoch 1/2"));
    check_close(column_of(read_text(runs.run_file(name, "metrics.csv")), "train_loss"), want, 1e-3);
    const auto summary = nlohmann::json::parse(read_text(runs.run_file(name, "summary.json")));
    CHECK(summary.at("ranks").at("count") == ranks);
    for (const char* list : {"hosts", "devices", "seconds_waited", "share_of_time_waited"}) {
      CHECK(summary.at("ranks").at(list).size() == static_cast<std::size_t>(ranks));
    }
    // Each evaluates its share.
    check_close(column_of(read_text(runs.run_file(name, "metrics.csv")), "test_accuracy"),
                column_of(read_text(runs.run_file("alone", "metrics.csv")), "test_accuracy"), 0.07);
  }
  // The same ranks and threads: the same bits.
  require_done(run_process(on_ranks(mpi, launcher, 2, runs.command("again"))));
  CHECK(read_text(runs.run_file("again", "model.safetensors")) ==
        read_text(runs.run_file("on-2", "model.safetensors")));
  CHECK(read_text(runs.run_file("again", "labels.csv")) == read_text(runs.run_file("on-2", "labels.csv")));
}

}  // namespace

TEST_CASE("ranks: a run on two and three ranks of Open MPI is that of one, and the same each time") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  check_training(kOpenMpi, launcher);
}

TEST_CASE("ranks: a run on two and three ranks of MPICH is that of one, and the same each time") {
  DPLL_NEED_LAUNCHER(kMpich);
  check_training(kMpich, launcher);
}

TEST_CASE("ranks: a checkpoint of four resumes on two, on one, and on four again") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  std::vector<std::string> settings = kSmall;
  settings.back() = "optimiser.batch=8";  // the last batch of an epoch is full
  const EngineRuns runs(settings);
  require_done(run_process(runs.command("whole", {"run.epochs=4"})));
  require_done(run_process(on_ranks(kOpenMpi, launcher, 4, runs.command("cut", {"run.epochs=1"}))));
  require_done(
      run_process(on_ranks(kOpenMpi, launcher, 2, runs.command("cut", {"run.epochs=2", "run.resume=yes"}))));
  const ProcessResult alone = run_process(runs.command("cut", {"run.epochs=3", "run.resume=yes"}));
  require_done(alone);
  CHECK(has(alone.out, "it was written by 2 ranks and goes on with 1"));
  require_done(
      run_process(on_ranks(kOpenMpi, launcher, 4, runs.command("cut", {"run.epochs=4", "run.resume=yes"}))));
  check_close(column_of(read_text(runs.run_file("cut", "metrics.csv")), "train_loss"),
              column_of(read_text(runs.run_file("whole", "metrics.csv")), "train_loss"), 1e-3);
}

TEST_CASE("ranks: what cannot be is said in one line, and all end") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  const EngineRuns runs(kSmall);
  const auto refused = [&](int ranks, const std::vector<std::string>& command, int exit_code,
                           const std::string& part) {
    const ProcessResult result = run_process(on_ranks(kOpenMpi, launcher, ranks, command));
    CHECK(result.exit_code == exit_code);
    const std::vector<std::string> ours = our_lines(result);
    CHECK_MESSAGE(ours.size() == 1, result.out, result.err);
    if (!ours.empty()) CHECK_MESSAGE(has(ours[0], part), ours[0]);
  };
  refused(2, runs.command("a", {"optimiser.lr=1e6"}), 3, "--set optimiser.lr=1e6: out of range");
  // 32 samples in batches of 10: the last has 2.
  refused(3, runs.command("a"), 3,
          "3 ranks share batches of 10 samples, the last of an epoch 2, and each needs one");
  std::vector<std::string> two = runs.command("c");
  two.insert(two.end(), {":", "-np", "1"});
  for (const std::string& word : runs.command("c", {"optimiser.lr=0.02"})) two.push_back(word);
  refused(1, two, 3, "rank 1 has another configuration than rank 0");
  two = runs.command("d");
  two.insert(two.end(), {":", "-np", "1"});
  for (const std::string& word : runs.command("d", {"data.train_limit=30"})) two.push_back(word);
  refused(1, two, 3, "rank 1 has another configuration than rank 0");
  require_done(run_process(runs.command("e")));
  refused(2, runs.command("e"), 5, "already holds a run");
}

TEST_CASE("ranks: one that sees other data than rank 0 ends all before the first step") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  const EngineRuns runs(kSmall);
  // The same relative path in two folders, as on machines whose disks differ.
  for (const char* machine : {"a", "b"}) {
    std::filesystem::create_directories(runs.file(machine));
    std::filesystem::copy(kFashionFolder, runs.file(machine) + std::string("/data"));
  }
  const std::string images = runs.file("b") + "/data/train-images-idx3-ubyte";
  std::string bytes = read_text(images);
  bytes.at(bytes.size() / 2) = static_cast<char>(bytes.at(bytes.size() / 2) ^ 1);
  write_text(images, bytes);
  const std::vector<std::string> command = runs.command("run", {"data.path=data"});
  std::vector<std::string> two = {"-wdir", runs.file("a")};
  two.insert(two.end(), command.begin(), command.end());
  two.insert(two.end(), {":", "-np", "1", "-wdir", runs.file("b")});
  two.insert(two.end(), command.begin(), command.end());
  const ProcessResult result = run_process(on_ranks(kOpenMpi, launcher, 1, two));
  CHECK(result.exit_code == 3);
  const std::vector<std::string> ours = our_lines(result);
  REQUIRE_MESSAGE(ours.size() == 1, result.out, result.err);
  CHECK_MESSAGE(has(ours[0], "rank 1 has another training data (SHA-256) than rank 0"), ours[0]);
}

TEST_CASE("ranks: a rank that is killed or hangs is named, all end, and the last checkpoint is good") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  // Joining has the same limit as every wait, and takes seconds on a machine that does much else.
  const int limit = test_depth(8, 25);
  for (const bool killed : {true, false}) {
    CAPTURE(killed);
    const EngineRuns runs(kSmall);
    Child child(on_ranks(kOpenMpi, launcher, 2,
                         runs.command("a", {"run.epochs=100000",
                                            fmt::format("parallel.timeout={}", killed ? 600 : limit)})),
                {});
    const std::vector<std::string> processes = processes_of(runs, 2);
    wait_for_text(runs.run_file("a", "train.log"), "epoch 3/");
    run_process({"/usr/bin/env", "kill", killed ? "-KILL" : "-STOP", processes.back()});
    const ProcessResult ended = child.wait();
    CHECK(ended.exit_code != 0);
    const std::vector<std::string> ours = our_lines(ended);
    // Where a rank is killed, the launcher kills the others, too, and may be faster than our line.
    CHECK_MESSAGE(ours.size() <= 1, ended.out, ended.err);
    if (!killed) {
      REQUIRE_MESSAGE(ours.size() == 1, ended.out, ended.err);
      CHECK_MESSAGE(has(ours[0], fmt::format("did not answer within the time limit of {} s", limit)),
                    ours[0]);
      CHECK_MESSAGE(has(ours[0], " on "), ours[0]);
      CHECK(ended.exit_code == 6);
    }
    // The launcher may end a moment before a rank that it has killed.
    std::string left = "?";
    for (int i = 0; i < 500 && !left.empty(); ++i) {
      left = run_process({"/usr/bin/env", "pgrep", "-f", "^[^ ]*dpll_engine " + runs.config()}).out;
      if (!left.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    CHECK(left == "");
    const std::size_t rows = lines_of(read_text(runs.run_file("a", "metrics.csv"))).size();
    const ProcessResult alone = runs.resume("a", {fmt::format("run.epochs={}", rows + 1)});
    require_done(alone);
    CHECK(has(alone.out, "going on from epoch "));
  }
}

TEST_CASE("ranks: one that is not finite stops all with one line; threads are shared out") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  const EngineRuns runs(kSmall);
  std::vector<std::string> command =
      runs.command("a", {"optimiser.lr=1000", "optimiser.momentum=0", "optimiser.weight_decay=1000",
                         "run.epochs=50", "run.threads=0"});
  command.insert(command.begin(), {"--bind-to", "none"});
  const ProcessResult result = run_process(on_ranks(kOpenMpi, launcher, 2, command));
  CHECK(result.exit_code == 5);
  const std::vector<std::string> ours = our_lines(result);
  REQUIRE_MESSAGE(ours.size() == 1, result.out, result.err);
  CHECK_MESSAGE(has(ours[0], "not finite"), ours[0]);
  const unsigned threads = std::max(1U, std::thread::hardware_concurrency() / 2);
  CHECK(has(result.out, fmt::format("device: cpu, {} thread", threads)));
}

TEST_CASE("ranks: two launches into one run folder: the second refuses, and the first goes on") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  const EngineRuns runs(kSmall);
  Child first(on_ranks(kOpenMpi, launcher, 2, runs.command("a", {"run.epochs=100000"})), {});
  const std::vector<std::string> processes = processes_of(runs, 2);
  wait_for_text(runs.run_file("a", "train.log"), "epoch 1/");
  const ProcessResult second =
      run_process(on_ranks(kOpenMpi, launcher, 2, runs.command("a", {"run.resume=auto"})));
  CHECK(second.exit_code == 5);
  const std::vector<std::string> ours = our_lines(second);
  REQUIRE_MESSAGE(ours.size() == 1, second.out, second.err);
  CHECK_MESSAGE(has(ours[0], "is in use by another process"), ours[0]);
  run_process({"/usr/bin/env", "kill", "-TERM", processes.front()});
  const ProcessResult ended = first.wait();
  CHECK(ended.exit_code == 128 + SIGTERM);
  CHECK(has(ended.out, "stopped by SIGTERM on rank "));
}

TEST_CASE("ranks: an annotator is trained by all of them, and read by all where rank 0 has it") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  std::vector<std::string> settings = kSmall;
  settings.insert(settings.end(), {"candidates.mode=instance", "annotator.epochs=2", "annotator.batch=8",
                                   "optimiser.batch=8"});
  const EngineRuns runs(settings);
  const std::string cache = "annotator.cache=" + runs.file("cache");
  const auto candidates_of = [&](const std::string& name) {
    const std::string log = read_text(runs.run_file(name, "train.log"));
    const std::size_t at = log.find("candidates: instance");
    REQUIRE(at != std::string::npos);
    return log.substr(at, log.find('\n', at) - at);
  };
  require_done(run_process(runs.command("alone", {"annotator.cache="})));
  const ProcessResult trained =
      run_process(on_ranks(kOpenMpi, launcher, 2, runs.command("trained", {cache})));
  require_done(trained);
  CHECK(has(trained.out, "annotator: epoch 2/2"));
  const ProcessResult read =
      run_process(on_ranks(kOpenMpi, launcher, 3, runs.command("read", {cache, "optimiser.batch=16"})));
  require_done(read);
  CHECK(has(read.out, "annotator: its output is read from"));
  CHECK(candidates_of("read") == candidates_of("trained"));
  // Sums in another order hardly move a probability, and a set changes where a draw lies between.
  CHECK(candidates_of("trained") == candidates_of("alone"));
}

TEST_CASE("ranks: a signal to one stops all after the same step, with one checkpoint and one exit code") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  const EngineRuns runs(kSmall);
  Child child(on_ranks(kOpenMpi, launcher, 2, runs.command("a", {"run.epochs=100000"})), {});
  const std::vector<std::string> processes = processes_of(runs, 2);
  wait_for_text(runs.run_file("a", "train.log"), "epoch 2/");
  // To a rank and not the launcher, as a scheduler might.
  run_process({"/usr/bin/env", "kill", "-USR1", processes.back()});
  const ProcessResult ended = child.wait();
  CHECK(ended.exit_code == 128 + SIGUSR1);
  CHECK(has(ended.out, "stopped by SIGUSR1 on rank "));
  CHECK(std::filesystem::exists(runs.run_file("a", "checkpoint.safetensors")));
}
