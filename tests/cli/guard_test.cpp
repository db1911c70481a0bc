// What happens where numbers go bad: [guard] on_nonfinite, and losses that overflow in an evaluation.
#include <cmath>
#include <csignal>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"
#include "support/tiny_network.h"
#include "train/run_evaluation.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// A decay that multiplies the weights by a million in each step, until the rate has been halved some twenty
// times.
const std::vector<std::string> kTooFast = {
    "optimiser.lr=1000", "optimiser.momentum=0", "optimiser.weight_decay=1000", "run.epochs=4",
    "log.charts=false",  "log.steps=1",          "model.architecture=mlp",      "model.hidden=8"};

// Column `name` of a run's metrics.csv, as text.
std::vector<std::string> column(const EngineRuns& runs, const std::string& run, const std::string& name) {
  const std::vector<std::string> lines = lines_of(read_text(runs.run_file(run, "metrics.csv")));
  const auto cells_of = [](const std::string& line) {
    std::vector<std::string> cells(1);
    for (const char c : line) {
      if (c == ',') {
        cells.emplace_back();
      } else {
        cells.back() += c;
      }
    }
    return cells;
  };
  const std::vector<std::string> header = cells_of(lines.at(0));
  const auto index = static_cast<std::size_t>(std::find(header.begin(), header.end(), name) - header.begin());
  std::vector<std::string> found;
  for (std::size_t i = 1; i < lines.size(); ++i) found.push_back(cells_of(lines[i]).at(index));
  return found;
}

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
  return count;
}

}  // namespace

TEST_CASE("guard: a run that diverges goes back with half the rate, until it learns") {
  const EngineRuns runs(kTooFast);
  const ProcessResult stops = runs.train("stops");
  CHECK(stops.exit_code == 5);
  CHECK(has(stops.err, "not finite"));
  CHECK(has(stops.err, "A lower optimiser.lr is the usual cure"));
  CHECK_FALSE(has(stops.err, "Rollback"));

  const ProcessResult done = runs.train("goes-on", {"guard.on_nonfinite=rollback", "guard.retries=100"});
  require_done(done);
  const std::string log = read_text(runs.run_file("goes-on", "train.log"));
  const int rollbacks = count_of(log, " with ") > 0 ? count_of(log, "Rollback ") : 0;
  REQUIRE(rollbacks > 0);
  CHECK(has(log, ", step 0, with 0.5 of the learning rate from there on"));
  CHECK(column(runs, "goes-on", "rollbacks").back() == std::to_string(rollbacks));
  CHECK(std::stod(column(runs, "goes-on", "lr").back()) == 1000 * std::ldexp(1.0, -rollbacks));
  CHECK(
      SafetensorsFile::read(runs.run_file("goes-on", "checkpoint.safetensors")).metadata().at("rollbacks") ==
      std::to_string(rollbacks));
  // A row for every step of every epoch, none of steps that were done in vain.
  CHECK(lines_of(read_text(runs.run_file("goes-on", "steps.csv"))).size() == 1 + 4 * 4);

  const ProcessResult few = runs.train("few", {"guard.on_nonfinite=rollback", "guard.retries=1"});
  CHECK(few.exit_code == 5);
  CHECK(has(few.err, "it went back 1 times already (guard.retries)"));
  // Where retries are left the same run goes on, with the rate that it had come to.
  const ProcessResult more =
      run_process(engine({runs.run_file("few", "config.ini"), "--resume", "--set", "guard.retries=100"}));
  require_done(more);
  CHECK(SafetensorsFile::read(runs.run_file("few", "model.safetensors")).get<float>("last.weight") ==
        SafetensorsFile::read(runs.run_file("goes-on", "model.safetensors")).get<float>("last.weight"));
}

TEST_CASE("guard: with finite numbers a run with rollback is the run without it") {
  const EngineRuns runs({"log.charts=false"});
  require_done(runs.train("stop"));
  require_done(runs.train("rollback", {"guard.on_nonfinite=rollback"}));
  for (const char* name : {"model.safetensors", "checkpoint.safetensors"}) {
    const SafetensorsFile a = SafetensorsFile::read(runs.run_file("stop", name));
    const SafetensorsFile b = SafetensorsFile::read(runs.run_file("rollback", name));
    for (const auto& [tensor, entry] : a.entries()) {
      if (entry.dtype != DType::f32) continue;  // the history has the times
      CHECK_MESSAGE(a.get<float>(tensor) == b.get<float>(tensor), tensor);
    }
  }
}

TEST_CASE("evaluation: a loss that overflows is infinite, and the tensor is named") {
  const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = 1});
  RunConfig config;
  config.model = tiny_mlp({4});
  config.views.mean = config.views.std = {0.5};
  config.views.pad = config.views.cutout = 0;
  config.views.policy = AugmentPolicy::none;
  const std::unique_ptr<Network> network = make_network(*backend, config.model, {4, 4, 1, 3}, false);
  network->state().initialise(1);
  DataSet data;
  data.classes = 3;
  data.test.count = 5;
  data.test.height = data.test.width = 4;
  data.test.channels = 1;
  data.test.pixels.assign(5 * 16, 200);
  data.test.labels = {0, 1, 2, 0, 1};
  const SelectionPart none;
  const ViewSetup views = resolve_views(config, 4, 4, 1);
  RunEvaluation evaluation(*backend, *network, views, data, none, 2);
  const Buffer arena = backend->allocate(evaluation.arena_bytes(), "a test's activations");
  evaluation.attach(arena.data());
  CHECK(std::isfinite(evaluation.run().test_loss));
  CHECK(evaluation.run().warnings.empty());

  ModelState& model = network->state();
  const int last = model.parameters() - 1;
  std::vector<float> bias = model.read(ModelState::Array::value, last);
  const auto loss_with = [&](float value) {
    bias[1] = value;
    model.write(ModelState::Array::value, last, bias);
    return evaluation.run();
  };
  const EpochScores nan = loss_with(std::numeric_limits<float>::quiet_NaN());
  CHECK(nan.test_loss == std::numeric_limits<double>::infinity());
  REQUIRE(nan.warnings.size() == 1);
  CHECK(
      nan.warnings[0].starts_with("the test loss is not finite: parameter '" + model.spec(last).name + "' "));

  // Finite parameters, whose products are not.
  std::vector<float> weight = model.read(ModelState::Array::value, last - 1);
  std::fill(weight.begin(), weight.end(), 3e38F);
  model.write(ModelState::Array::value, last - 1, weight);
  const EpochScores overflow = loss_with(3e38F);
  CHECK(overflow.test_loss == std::numeric_limits<double>::infinity());
  REQUIRE(overflow.warnings.size() == 1);
  CHECK(overflow.warnings[0].starts_with("the test loss is not finite: the logits of sample 0 have "));
}
