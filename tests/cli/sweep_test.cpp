// tools/sweep as a process: it finishes a grid, skips what is finished, goes on after a kill, and refuses
// files that it cannot use.
#include <chrono>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/engine_runs.h"

using dpll::read_file;
using namespace dpll::test;

namespace {

class SweepFolder {
 public:
  SweepFolder() {
    write(
        "[grid]\ncandidates.rate = 0.1 | 0.5\n[set]\nrun.epochs = 3\nlog.charts = false\nlog.steps = 1\n"
        "checkpoint.every_steps = 1\ndata.selection_fraction = 0.25\n");
  }
  void write(const std::string& sections) const {
    write_text(file("sweep.ini"), fmt::format("[sweep]\nconfigs = {}\nseeds = 1 | 2  # two\nout = {}\n{}",
                                              runs_.config(), file("out"), sections));
  }
  std::string file(const std::string& name) const { return runs_.file(name); }
  std::string out(const std::string& name) const { return file("out/" + name); }
  std::vector<std::string> command(const std::vector<std::string>& options = {}) const {
    std::vector<std::string> words = {"/usr/bin/env",    "python3",  DPLL_SOURCE_DIR "/tools/sweep",
                                      file("sweep.ini"), "--engine", engine({})[0]};
    words.insert(words.end(), options.begin(), options.end());
    return words;
  }
  ProcessResult run() const { return run_process(command()); }

 private:
  EngineRuns runs_;
};

const std::vector<std::string> kRuns = {"tiny_rate=0.1_seed=1", "tiny_rate=0.1_seed=2",
                                        "tiny_rate=0.5_seed=1", "tiny_rate=0.5_seed=2"};

double test_accuracy(const SweepFolder& folder, const std::string& run) {
  return nlohmann::json::parse(read_text(folder.out(run + "/summary.json")))
      .at("protocols")
      .at("last_epoch")
      .at("test_accuracy");
}

std::string mean_of_two(double a, double b) {
  return fmt::format("{:.2f} ± {:.2f} (se {:.2f})", 50 * (a + b), 100 * std::abs(a - b) / std::sqrt(2.0),
                     50 * std::abs(a - b));
}

}  // namespace

TEST_CASE("sweep: killed in the middle and run again, it ends as one that was left alone") {
  const SweepFolder whole, killed;
  const ProcessResult done = whole.run();
  require_done(done);
  for (const std::string& run : kRuns) CHECK(has(done.out, run));
  CHECK(has(done.out, "sweep: 4 of 4 runs finished: "));
  CHECK(has(done.out, "sweep: 3 of 4 runs finished, about 0:0"));

  {
    // SIGKILL when the third run has begun: two are finished, one is under way, one has not begun.
    Child child(killed.command(), {});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    const std::string begun = killed.out(kRuns[2] + "/checkpoint.safetensors");
    while (child.running() && !std::filesystem::exists(begun) &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    child.signal(SIGKILL);
    REQUIRE(child.wait().exit_code == 128 + SIGKILL);
  }
  CHECK_FALSE(std::filesystem::exists(killed.out(kRuns[3] + "/summary.json")));
  const auto first_model = std::filesystem::last_write_time(killed.out(kRuns[0] + "/model.safetensors"));
  CHECK(lines_of(read_text(killed.out("runs.csv"))).size() == 3);
  const ProcessResult again = killed.run();
  require_done(again);
  CHECK(has(again.out, "sweep: 2 of 4 runs finished: begins"));
  CHECK(std::filesystem::last_write_time(killed.out(kRuns[0] + "/model.safetensors")) == first_model);
  for (const std::string& run : kRuns) {
    CAPTURE(run);
    CHECK(read_file(whole.out(run + "/model.safetensors")) ==
          read_file(killed.out(run + "/model.safetensors")));
  }

  const double first = test_accuracy(killed, kRuns[0]), second = test_accuracy(killed, kRuns[1]);
  const std::string row = fmt::format("| tiny | 0.1 | 2 | {} |", mean_of_two(first, second));
  const std::vector<std::string> markdown = lines_of(read_text(killed.out("table.md")));
  REQUIRE(markdown.size() == 4);
  CHECK(markdown[0] ==
        "| config | candidates.rate | n | last epoch, % | mean of the last ten, % | best epoch (oracle), % "
        "| by covering rate, % | by approximated accuracy, % | time, s |");
  CHECK_MESSAGE(markdown[2].starts_with(row), markdown[2], " against ", row);
  CHECK(markdown[3].starts_with("| tiny | 0.5 | 2 | "));
  const std::vector<std::string> csv = lines_of(read_text(killed.out("table.csv")));
  REQUIRE(csv.size() == 11);  // two rows by five protocols
  CHECK(csv[0] ==
        "config,candidates.rate,protocol,oracle,n,mean,standard_deviation,standard_error,best,p_against_best,"
        "seconds");
  CHECK(csv[1].starts_with(fmt::format("tiny,0.1,last_epoch,no,2,{:.6g},", 50 * (first + second))));
  const std::string latex = read_text(killed.out("table.tex"));
  CHECK(has(latex, "\\begin{tabular}{llrrrrrrr}"));
  CHECK(has(latex, "tiny & 0.1 & 2 & "));
  CHECK_FALSE(std::filesystem::exists(killed.out("comparison.md")));  // there is one method
  CHECK(has(latex, " $\\pm$ "));
  CHECK(lines_of(read_text(killed.out("runs.csv"))).size() == 5);

  const ProcessResult list = run_process(killed.command({"--list"}));
  require_done(list);
  CHECK_FALSE(has(list.out, "to do"));
}

TEST_CASE("sweep: SIGTERM stops the run with a checkpoint and the sweep with it") {
  const SweepFolder folder;
  Child child(folder.command(), {});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  const std::string begun = folder.out(kRuns[0] + "/checkpoint.safetensors");
  while (child.running() && !std::filesystem::exists(begun) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  child.signal(SIGTERM);
  const ProcessResult stopped = child.wait();
  CHECK(stopped.exit_code == 128 + SIGTERM);
  CHECK(has(stopped.out, "stopped; the same command goes on"));
  CHECK(has(read_text(folder.out(kRuns[0] + ".log")), "to go on: dpll_engine"));
  CHECK_FALSE(std::filesystem::exists(folder.out(kRuns[1])));
}

TEST_CASE("sweep: a failed run is named, the others are trained") {
  const SweepFolder folder;
  folder.write("[grid]\noptimiser.batch = 8 | 33\n[set]\nrun.epochs = 1\nlog.charts = false\n");
  const ProcessResult result = folder.run();
  CHECK(result.exit_code == 1);
  CHECK(has(result.err,
            "failed: tiny_batch=33_seed=1 and 1 more (exit code 3): dpll_engine: optimiser.batch = 33"));
  const std::vector<std::string> table = lines_of(read_text(folder.out("table.md")));
  REQUIRE(table.size() == 4);
  CHECK(table[2].starts_with("| tiny | 8 | 2 | "));
  CHECK_FALSE(has(table[0], "covering"));  // nothing was held out to select by
  CHECK(table[3] == "| tiny | 33 | 0 | - | - | - | - |");
}

TEST_CASE("sweep: files that it cannot use end in one line and exit code 3") {
  const SweepFolder folder;
  const auto refuse = [&](const std::string& text, const std::string& part) {
    write_text(folder.file("sweep.ini"), text);
    const ProcessResult result = folder.run();
    CHECK(result.exit_code == 3);
    CHECK(lines_of(result.err).size() == 1);
    CHECK_MESSAGE(has(result.err, part), result.err, " lacks ", part);
    CHECK_FALSE(std::filesystem::exists(folder.file("out")));
  };
  const std::string head =
      fmt::format("[sweep]\nconfigs = {}\nout = {}\n", folder.file("tiny.ini"), folder.file("out"));
  refuse("nothing\n", "sweep.ini");
  refuse("[grid]\n", "there is no section [sweep]");
  refuse(head + "seeds = 1\n[grit]\n", "[grit] is no section");
  refuse(head, "[sweep] needs seeds");
  refuse(head + "seeds = 1 | x\n", "'x' is not a whole number");
  refuse(head + "seeds = 1 | 1\n", "stands twice");
  refuse(head + "seeds = 1\nsed = 2\n", "sed: unknown");
  refuse(head + "seeds = 1\n[grid]\nrate = 1\n", "'rate' is no key");
  refuse(head + "seeds = 1\n[set]\nrun.seed = 1\n", "run.seed is set by the sweep");
  refuse("[sweep]\nconfigs = none.ini\nseeds = 1\nout = x\n", "there is no file 'none.ini'");
  const ProcessResult none =
      run_process({"/usr/bin/env", "python3", DPLL_SOURCE_DIR "/tools/sweep", folder.file("no.ini")});
  CHECK(none.exit_code == 3);
  CHECK(has(none.err, "no.ini"));
}

TEST_CASE("sweep: results of other settings are not mixed with new ones") {
  const SweepFolder folder;
  folder.write("[set]\nrun.epochs = 1\nlog.charts = false\n");
  require_done(folder.run());
  folder.write("[set]\nrun.epochs = 2\nlog.charts = false\n");
  const ProcessResult result = folder.run();
  CHECK(result.exit_code == 3);
  CHECK(has(result.err, "was made with other settings"));
}

TEST_CASE("sweep: the folds of a tabular set are runs of their own and one row of the table") {
  const TempDir dir;
  write_text(dir.file("tab.ini"),
             fmt::format("[run]\nthreads = 1\nepochs = 20\ndevice = cpu\n[data]\ndataset = tabular\n"
                         "path = {}/tabular/sparse.mat\nfolds = 3\n[candidates]\nmode = dataset\n"
                         "[model]\narchitecture = mlp\nhidden = 16\n[optimiser]\nbatch = 16\nlr = 0.05\n"
                         "[objective]\nramp_epochs = 10\n[log]\ncharts = false\n",
                         DPLL_TEST_FIXTURES));
  write_text(dir.file("sweep.ini"),
             fmt::format("[sweep]\nconfigs = {}\nseeds = 1 | 2\nout = {}\n[repeat]\ndata.fold = 0 | 1 | 2\n",
                         dir.file("tab.ini"), dir.file("out")));
  const ProcessResult done = run_process({"/usr/bin/env", "python3", DPLL_SOURCE_DIR "/tools/sweep",
                                          dir.file("sweep.ini"), "--engine", engine({})[0]});
  require_done(done);
  const std::vector<std::string> table = lines_of(read_text(dir.file("out/table.csv")));
  REQUIRE(table.size() == 4);
  CHECK(table[1].starts_with("tab,last_epoch,no,6,"));
  CHECK(has(lines_of(read_text(dir.file("out/runs.csv"))).at(0), "run,config,data.fold,seed,"));
  // Three clusters that an untrained network tells apart by chance, a third of the time.
  double sum = 0;
  for (int fold = 0; fold < 3; ++fold) {
    const std::string run = dir.file(fmt::format("out/tab_fold={}_seed=1", fold));
    const nlohmann::json summary = nlohmann::json::parse(read_text(run + "/summary.json"));
    CHECK(summary.at("network") == "MLP-16");
    CHECK(summary.at("training_samples") == 100);
    sum += summary.at("protocols").at("last_epoch").at("test_accuracy").get<double>();
  }
  CHECK(sum / 3 > 0.7);

  const std::string run = dir.file("out/tab_fold=1_seed=1");
  const ProcessResult evaluated = run_process(engine({"evaluate", run}));
  require_done(evaluated);
  CHECK(has(evaluated.out, "MLP-16 on 50 test "));
  const ProcessResult drawn =
      run_process(engine({"preview", dir.file("tab.ini"), "--out", dir.file("v.png")}));
  CHECK(drawn.exit_code == 3);
  CHECK(has(drawn.err, "preview draws images; the samples of"));
  // A run's charts, one of them as an image.
  require_done(run_process(engine({dir.file("tab.ini"), "--set", "run.epochs=1", "--set", "log.charts=true",
                                   "--set", "run.name=drawn", "--set", "run.out_dir=" + dir.path()})));
  const ProcessResult predicted = run_process(
      engine({"predict", run, "--images", dir.file("drawn/loss.png"), "--out", dir.file("p.csv")}));
  CHECK(predicted.exit_code == 3);
}
