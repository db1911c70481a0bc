// Last epoch, best epoch (oracle) and label-free selection side by side, also over a stop and a resume.
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/engine_runs.h"

using dpll::read_file;
using namespace dpll::test;

TEST_CASE("a run with a held-out part reports every protocol and keeps the selected model") {
  const EngineRuns runs({"run.epochs=4", "log.charts=false", "data.selection_fraction=0.25"});
  const ProcessResult result = runs.train("a");
  require_done(result);
  const auto summary = nlohmann::json::parse(read_text(runs.run_file("a", "summary.json")));
  CHECK(summary.at("training_samples") == 24);
  const auto& protocols = summary.at("protocols");
  CHECK(protocols.at("held_out_samples") == 8);
  CHECK(protocols.at("kept_by") == "approximated_accuracy");
  CHECK(protocols.at("last_epoch").at("epoch") == 4);
  CHECK(protocols.at("last_epoch").at("test_accuracy") == summary.at("last_epoch").at("test_accuracy"));
  CHECK(protocols.at("best_epoch").at("oracle") == true);
  const double best = protocols.at("best_epoch").at("test_accuracy");
  for (const char* rule : {"covering_rate", "approximated_accuracy"}) {
    CAPTURE(rule);
    const double held_out = protocols.at(rule).at(rule), accuracy = protocols.at(rule).at("test_accuracy");
    CHECK(held_out >= 0);
    CHECK(held_out <= 1);
    CHECK(accuracy <= best);
  }
  CHECK(protocols.at("approximated_accuracy").at("approximated_accuracy").get<double>() <=
        protocols.at("covering_rate").at("covering_rate").get<double>());
  const std::string log = read_text(runs.run_file("a", "train.log"));
  for (const char* line : {"last epoch", "best epoch, oracle: the test set chose it",
                           "selected by covering rate", "selected by approximated accuracy"}) {
    CHECK_MESSAGE(has(log, line), "lacks: ", line);
  }
  CHECK(has(read_text(runs.run_file("a", "metrics.csv")),
            ",selection_covering_rate,selection_approximated_accuracy,"));

  // The kept model is that of a run that ends with the selected epoch.
  const int epoch = protocols.at("approximated_accuracy").at("epoch");
  require_done(runs.train("until", {fmt::format("run.epochs={}", epoch)}));
  CHECK(read_file(runs.run_file("a", "model_selected.safetensors")) ==
        read_file(runs.run_file("until", "model_selected.safetensors")));

  // And it is what `evaluate --selected` opens.
  const ProcessResult evaluated = run_process(engine({"evaluate", runs.run_folder("a"), "--selected"}));
  require_done(evaluated);
  const double accuracy = protocols.at("approximated_accuracy").at("test_accuracy");
  CHECK_MESSAGE(has(evaluated.out, fmt::format(": accuracy {:.2f}%,", 100 * accuracy)), evaluated.out);
  CHECK(run_process(engine({"evaluate", runs.run_folder("a"), "--selected", "--ema"})).exit_code == 2);
}

TEST_CASE("a run without a held-out part says so in its summary") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  require_done(runs.train("a"));
  const auto protocols = nlohmann::json::parse(read_text(runs.run_file("a", "summary.json"))).at("protocols");
  CHECK(protocols.at("held_out_samples") == 0);
  CHECK(protocols.at("covering_rate").is_null());
  CHECK(protocols.at("approximated_accuracy").is_null());
  CHECK_FALSE(std::filesystem::exists(runs.run_file("a", "model_selected.safetensors")));
  const ProcessResult evaluated = run_process(engine({"evaluate", runs.run_folder("a"), "--selected"}));
  CHECK(evaluated.exit_code == 4);
  CHECK(has(evaluated.err,
            "has no model_selected.safetensors: it was trained without data.selection_fraction"));
}

TEST_CASE("a run with a held-out part that is killed and resumed ends with the same files") {
  const EngineRuns runs({"run.epochs=4", "log.charts=false", "log.steps=1", "checkpoint.every_steps=1",
                         "data.selection_fraction=0.25"});
  require_done(runs.train("whole"));
  {
    Child child(runs.command("killed"), {});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    const auto enough = [&] {
      std::ifstream steps(runs.run_file("killed", "steps.csv"));
      return std::count(std::istreambuf_iterator<char>(steps), std::istreambuf_iterator<char>(), '\n') > 7 &&
             std::filesystem::exists(runs.run_file("killed", "checkpoint.safetensors"));
    };
    while (child.running() && !enough() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    child.signal(SIGKILL);
    REQUIRE(child.wait().exit_code == 128 + SIGKILL);
  }
  require_done(run_process(runs.resume_command("killed")));
  for (const char* name : {"model.safetensors", "model_selected.safetensors", "labels.csv"}) {
    CAPTURE(name);
    CHECK(read_file(runs.run_file("whole", name)) == read_file(runs.run_file("killed", name)));
  }
  const auto protocols_of = [&](const std::string& run) {
    return nlohmann::json::parse(read_text(runs.run_file(run, "summary.json"))).at("protocols").dump();
  };
  CHECK(protocols_of("whole") == protocols_of("killed"));
  // Another held-out part is another training set.
  const ProcessResult other =
      runs.train("killed", {"run.resume=yes", "run.epochs=5", "data.selection_fraction=0.5"});
  CHECK(other.exit_code == 4);
  CHECK(has(other.err, "belongs to another run"));
}
