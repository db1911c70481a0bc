// Checkpoints and models whose digest is right and whose contents cannot be: one line and exit code 4.
#include <cmath>
#include <limits>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"
#include "support/error_of.h"
#include "support/safetensors_edit.h"
#include "train/checkpoint_checks.h"

using namespace dpll;
using namespace dpll::test;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// One run for all cases, with its checkpoint in the middle of the second epoch: 4 steps an epoch, 32 samples.
const EngineRuns& one_run() {
  static const EngineRuns runs({"log.charts=false", "optimiser.ema=0.9"});
  static const bool done = [] {
    require_done(runs.train("a"));
    return true;
  }();
  static_cast<void>(done);
  return runs;
}

// Candidate sets that allow the targets of the checkpoint: where it has something, there is a candidate.
CandidateSets candidates_of(const SafetensorsFile& file) {
  const std::vector<float> targets = file.get<float>("targets");
  CandidateSets sets(32, 10);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (targets[i] > 0) sets.insert(static_cast<std::int64_t>(i / 10), static_cast<int>(i % 10));
  }
  return sets;
}

std::vector<float> changed(const SafetensorsFile& file, const std::string& name, std::size_t at,
                           float value) {
  std::vector<float> values = file.get<float>(name);
  values.at(at) = value;
  return values;
}

}  // namespace

TEST_CASE("a checkpoint whose values cannot be is refused with the field, the value and the range") {
  const std::string path = one_run().run_file("a", "checkpoint.safetensors");
  const SafetensorsFile file = SafetensorsFile::read(path);
  const CandidateSets candidates = candidates_of(file);
  const TempDir dir;
  const auto check = [&](const SafetensorsEdit& edit) {
    rewrite_safetensors(path, dir.file("c"), edit);
    check_checkpoint(SafetensorsFile::read(dir.file("c")), {4, candidates});
  };
  check({});
  const auto refused = [&](const SafetensorsEdit& edit, const std::string& what) {
    const Error error = error_of([&] { check(edit); });
    CHECK(error.code() == ExitCode::data);
    CHECK(contains(error, dir.file("c") + ": "));
    CHECK(contains(error, what));
  };
  const std::string variance = "model/conv.1.running_var", weight = "model/linear.0.weight";
  REQUIRE(file.contains(variance));
  REQUIRE(file.contains(weight));

  struct Counter {
    const char *key, *value, *range;
  };
  const std::vector<Counter> counters = {{"step_in_epoch", "-1", "0 to 4"},
                                         {"step_in_epoch", "5", "0 to 4"},
                                         {"step_in_epoch", "9223372036854775807", "0 to 4"},
                                         {"epoch", "-1", "0 to 1000000"},
                                         {"epoch", "2147483647", "0 to 1000000"},
                                         {"epoch", "99999999999999999999", "0 to 1000000"},
                                         {"epoch_seconds", "nan", "0 to "},
                                         {"total_seconds", "-1", "0 to "},
                                         {"skipped_steps", "1", "0 to 0"},
                                         {"loss_scale", "0", "6.1035156e-05 to 16777216"},
                                         {"loss_scale", "inf", "6.1035156e-05 to 16777216"},
                                         {"loss_scale", "-1", "6.1035156e-05 to 16777216"},
                                         {"good_steps", "-1", "0 to 4294967295"}};
  for (const Counter& c : counters) {
    CAPTURE(c.key);
    CAPTURE(c.value);
    refused({.metadata = {{c.key, c.value}}},
            fmt::format("'{}' is '{}', expected a number from {}", c.key, c.value, c.range));
  }

  const std::vector<std::pair<const char*, const char*>> histories = {
      {"", "is not a JSON object of columns and rows"},
      {"[]", "is not a JSON object of columns and rows"},
      {R"({"columns":["epoch"]})", "is not a JSON object of columns and rows"},
      {R"({"columns":["epoch",1],"rows":[]})", "has a column 1 without a name"},
      {R"({"columns":["lr"],"rows":[]})", "has no column 'epoch'"},
      {R"({"columns":["epoch","lr"],"rows":[[1]]})", "has 1 cells in row 0, expected 2"},
      {R"({"columns":["epoch","lr"],"rows":[[1,0.1],3]})", "has 0 cells in row 1, expected 2"},
      {R"({"columns":["epoch","lr"],"rows":[[1,"x"]]})", "holds string in row 0, column 1"},
      {R"({"columns":["epoch"],"rows":[[3]]})", "holds epoch 3 in row 0, expected one from 1 to 2"},
      {R"({"columns":["epoch"],"rows":[[1],[1]]})", "holds epoch 1 in row 1, expected one from 2 to 2"},
      {R"({"columns":["epoch"],"rows":[[null]]})", "holds epoch nan in row 0"}};
  for (const auto& [history, what] : histories) {
    CAPTURE(history);
    // As text, which earlier versions wrote.
    refused({.metadata = {{"history", history}}, .dropped = {"history"}}, std::string("'history' ") + what);
  }
  const std::vector<double> rows = file.get<double>("history");
  refused({.doubles = {{"history", {1, 2, 3}}}}, "'history' is 3, expected the ");
  refused({.metadata = {{"history_columns", "epoch,lr"}}}, "expected the 2 columns that are named");
  refused({.metadata = {{"history_columns", ""}}}, "expected the 0 columns that are named");
  for (const double epoch : {0.0, 1.5, 3.0, std::nan("")}) {
    CAPTURE(epoch);
    std::vector<double> other_epoch = rows;
    other_epoch[0] = epoch;
    refused({.doubles = {{"history", other_epoch}}}, "in row 0, expected one from 1 to 2");
  }
  refused({.metadata = {{"rollbacks", "-1"}}}, "'rollbacks' is '-1', expected a number from 0 to 100");

  refused({.floats = {{weight, changed(file, weight, 7, kNan)}}},
          "tensor '" + weight + "' holds nan at element 7, expected a finite number");
  refused({.floats = {{variance, changed(file, variance, 1, -0.5F)}}},
          "tensor '" + variance + "' holds -0.5 at element 1, expected a finite number that is not negative");
  refused({.floats = {{variance, changed(file, variance, 0, kNan)}}}, "holds nan at element 0");
  const std::string velocity = "velocity/linear.0.weight", average = "average/linear.0.weight";
  refused({.floats = {{velocity, changed(file, velocity, 0, -std::numeric_limits<float>::infinity())}}},
          "tensor '" + velocity + "' holds -inf at element 0");
  refused({.floats = {{average, changed(file, average, 0, kNan)}}}, "tensor '" + average + "' holds nan");
  const std::string batches = "model/conv.1.num_batches_tracked";
  refused({.integers = {{batches, {-3}}}}, "tensor '" + batches + "' holds -3");
  refused({.integers = {{batches, {}}}}, "tensor '" + batches + "' holds 0 numbers");

  std::vector<float> targets = file.get<float>("targets");
  refused({.floats = {{"targets", {1, 0}}}}, "tensor \"targets\" has shape [2], expected [32,10]");
  for (const float value : {kNan, -0.1F, 2.0F}) {
    CAPTURE(value);
    refused({.floats = {{"targets", changed(file, "targets", 13, value)}}},
            fmt::format("tensor 'targets' holds {} for class 3 of sample 1, expected 0 to 1", value));
  }
  std::fill(targets.begin() + 10, targets.begin() + 20, 0.0F);
  refused({.floats = {{"targets", targets}}}, "tensor 'targets' sums to 0 for sample 1, expected 1");
  int other = 0;
  while (candidates.contains(1, other)) ++other;
  targets.at(10 + static_cast<std::size_t>(other)) = 1;
  refused({.floats = {{"targets", targets}}}, "which is not its candidate");

  std::vector<double> sums = file.get<double>("total_metrics");
  CHECK(sums[0] == 32);
  sums[0] = 1e9;
  refused({.doubles = {{"total_metrics", sums}}}, "holds 1000000000 for samples, expected 0 to 32");
  sums[0] = 32;
  sums[2] = std::numeric_limits<double>::infinity();
  refused({.doubles = {{"total_metrics", sums}}}, "holds inf for supervised, expected a finite number");
}

TEST_CASE("a resume from a checkpoint whose counter is out of range ends with exit code 4") {
  const EngineRuns& runs = one_run();
  const std::string checkpoint = runs.run_file("a", "checkpoint.safetensors");
  const std::vector<std::uint8_t> good = read_file(checkpoint);
  for (const char* step : {"-1", "1000000"}) {
    CAPTURE(step);
    rewrite_safetensors(checkpoint, checkpoint, {.metadata = {{"epoch", "1"}, {"step_in_epoch", step}}});
    const auto before = hashes_of(runs.run_folder("a"));
    const ProcessResult resumed = run_process(runs.resume_command("a"));
    CHECK(resumed.exit_code == 4);
    CHECK(has(resumed.err,
              fmt::format("{}: 'step_in_epoch' is '{}', expected a number from 0 to 4", checkpoint, step)));
    CHECK(lines_of(resumed.err).size() == 1);
    write_file_atomically(checkpoint, good.data(), good.size());
  }
}

TEST_CASE("a changed byte of a model is found by evaluate and predict, and one without a digest is read") {
  const EngineRuns& runs = one_run();
  const std::string model = runs.run_file("a", "model.safetensors");
  const std::vector<std::uint8_t> good = read_file(model);
  const auto evaluate = [&] { return run_process(engine({"evaluate", runs.run_folder("a")})); };
  const auto predict = [&] {
    return run_process(engine({"predict", runs.run_folder("a"), "--images",
                               kFashionFolder + "/t10k-images-idx3-ubyte", "--out", runs.file("p.csv")}));
  };
  const auto write = [&](const std::vector<std::uint8_t>& bytes) {
    write_file_atomically(model, bytes.data(), bytes.size());
  };
  std::vector<std::uint8_t> damaged = good;
  damaged[damaged.size() - 100] ^= 1;
  write(damaged);
  for (const ProcessResult& result : {evaluate(), predict()}) {
    CHECK(result.exit_code == 4);
    CHECK(has(result.err, model + ": damaged: its contents do not match its SHA-256"));
  }
  write(good);
  require_done(predict());

  const SafetensorsFile file = SafetensorsFile::read(model);
  rewrite_safetensors(model, model, {.keeps_digest = false});
  CHECK_FALSE(SafetensorsFile::read(model).metadata().contains(kDigestKey));
  require_done(evaluate());
  rewrite_safetensors(model, model, {.floats = {{"linear.0.bias", changed(file, "linear.0.bias", 2, kNan)}}});
  const ProcessResult not_finite = evaluate();
  CHECK(not_finite.exit_code == 4);
  CHECK(has(not_finite.err, model + ": tensor 'linear.0.bias' holds nan at element 2"));
  write(good);
}

TEST_CASE("a summary that was changed into something else is written again") {
  const EngineRuns& runs = one_run();
  for (const char* text : {R"({"epochs":"two"})", "[2]", "{"}) {
    CAPTURE(text);
    write_text(runs.run_file("a", "summary.json"), text);
    require_done(run_process(runs.resume_command("a")));
    CHECK(has(read_text(runs.run_file("a", "summary.json")), "\"epochs\": 2"));
  }
}
