// Ranks of mpirun that train on emulated GPUs, each on its own, by way of a made-up NCCL.
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/mpi_launchers.h"

using namespace dpll;
using namespace dpll::test;

namespace {

const std::vector<std::string> kSettings = {
    "log.charts=false",  "log.progress=false", "run.device=cuda",   "run.qualify=false",
    "optimiser.lr=0.01", "optimiser.batch=12", "run.precision=f32", "model.architecture=mlp",
    "model.hidden=8",    "views.policy=none"};

// With so many emulated GPUs, "right,right".
std::vector<std::string> on_gpus(const std::string& launcher, const std::string& gpus, int ranks,
                                 std::vector<std::string> command) {
  command.at(0) = DPLL_ENGINE_EMULATED;
  return on_ranks(kOpenMpi, launcher, ranks, command, {"DPLL_EMULATED_GPUS=" + gpus});
}

double last_loss(const EngineRuns& runs, const std::string& name) {
  const auto summary = nlohmann::json::parse(read_text(runs.run_file(name, "summary.json")));
  return summary.at("last_epoch").at("train_loss");
}

}  // namespace

TEST_CASE("ranks: two emulated GPUs train what one does, and resume on one") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  const EngineRuns runs(kSettings);
  require_done(run_process(on_gpus(launcher, "right", 1, runs.command("alone"))));
  const ProcessResult result =
      run_process(on_gpus(launcher, "right,right", 2, runs.command("both", {"run.epochs=1"})));
  require_done(result);
  CHECK(has(result.out, "device: cuda:0"));
  CHECK(has(read_text(runs.run_file("both", "train.log")), "rank 1 on "));
  const auto summary = nlohmann::json::parse(read_text(runs.run_file("both", "summary.json")));
  CHECK(summary.at("ranks").at("devices").at(1).get<std::string>().rfind("cuda, emulated", 0) == 0);
  require_done(
      run_process(on_gpus(launcher, "right", 1, runs.command("both", {"run.epochs=2", "run.resume=yes"}))));
  CHECK(std::abs(last_loss(runs, "both") - last_loss(runs, "alone")) < 1e-3 * last_loss(runs, "alone"));
}

TEST_CASE("ranks: GPUs that do not fit the launch are refused in one line") {
  DPLL_NEED_LAUNCHER(kOpenMpi);
  const EngineRuns runs(kSettings);
  const auto refused = [&](const std::string& gpus, int ranks, const std::vector<std::string>& settings,
                           int exit_code, const std::string& part) {
    const ProcessResult result = run_process(on_gpus(launcher, gpus, ranks, runs.command("a", settings)));
    CHECK(result.exit_code == exit_code);
    const std::vector<std::string> ours = our_lines(result);
    CHECK_MESSAGE(ours.size() == 1, result.out, result.err);
    if (!ours.empty()) CHECK_MESSAGE(has(ours[0], part), ours[0]);
  };
  refused("right,right", 2, {"run.device=cuda:1"}, 3,
          "run.device = cuda:1: the launcher has started 2 ranks");
  refused("right,right", 3, {}, 6, "3 ranks were started on this machine, which has 2 GPUs");
  refused("right", 2, {}, 6, "ranks 0 and 1 on ");
  refused("", 2, {}, 6, "no usable NVIDIA GPU");
  refused("right,no_memory", 2, {}, 6, "not enough GPU memory");
  refused("right,busy", 2, {}, 6, "busy or unavailable");
}
