// run.max_steps: a run that ends in the middle of an epoch, its results, and how it is resumed.
#include <nlohmann/json.hpp>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"

using dpll::read_file;
using dpll::SafetensorsFile;
using namespace dpll::test;

namespace {

// Of run `name`: for each row of metrics.csv the values of `columns`.
std::vector<std::string> rows_of(const EngineRuns& runs, const std::string& name,
                                 const std::vector<std::string>& columns) {
  std::vector<std::string> result;
  std::vector<std::string> header;
  for (const std::string& line : lines_of(read_text(runs.run_file(name, "metrics.csv")))) {
    std::vector<std::string> cells;
    std::istringstream in(line);
    for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
    if (header.empty()) {
      header = cells;
      continue;
    }
    std::string row;
    for (const std::string& column : columns) {
      const auto found = std::find(header.begin(), header.end(), column);
      REQUIRE(found != header.end());
      row += (row.empty() ? "" : " ") + cells.at(static_cast<std::size_t>(found - header.begin()));
    }
    result.push_back(row);
  }
  return result;
}

// Candidates that labels.csv gives no probability.
std::size_t excluded_in(const EngineRuns& runs, const std::string& name) {
  std::size_t count = 0;
  std::istringstream words(read_text(runs.run_file(name, "labels.csv")));
  for (std::string word; words >> word;) {
    const std::string posterior = word.substr(0, word.rfind(','));
    count += posterior.ends_with(":0") || word.ends_with(":0") ? 1 : 0;
  }
  return count;
}

nlohmann::json summary_of(const EngineRuns& runs, const std::string& name) {
  return nlohmann::json::parse(read_text(runs.run_file(name, "summary.json")));
}

// An epoch has 4 steps.
const std::vector<std::string> kThreeEpochs = {"run.epochs=3", "log.charts=false",
                                               "optimiser.schedule=cosine", "evaluation.every=2"};

void check_same_end(const EngineRuns& runs, const std::string& one, const std::string& other) {
  for (const char* file : {"model.safetensors", "labels.csv"}) {
    CAPTURE(file);
    CHECK(read_file(runs.run_file(one, file)) == read_file(runs.run_file(other, file)));
  }
  const std::vector<std::string> columns = {"epoch", "steps", "train_loss", "test_accuracy", "lr"};
  CHECK(rows_of(runs, one, columns) == rows_of(runs, other, columns));
}

}  // namespace

TEST_CASE("max_steps ends a run in the middle of an epoch as at an epoch's end; with more steps it goes on") {
  const EngineRuns runs(kThreeEpochs);
  require_done(runs.train("whole"));
  const ProcessResult cut = runs.train("cut", {"run.max_steps=6"});
  require_done(cut);
  CHECK(has(cut.out, "run.max_steps = 6: the run ends after step 2 of 4 in epoch 2"));
  const std::vector<std::string> rows = rows_of(runs, "cut", {"epoch", "steps"});
  CHECK(rows == std::vector<std::string>{"1 4", "2 6"});
  // The schedule counts the epochs of the whole run.
  CHECK(rows_of(runs, "cut", {"lr"})[0] == rows_of(runs, "whole", {"lr"})[0]);
  CHECK(rows_of(runs, "cut", {"test_accuracy"})[1] != "");
  const nlohmann::json summary = summary_of(runs, "cut");
  CHECK(summary.at("steps") == 6);
  CHECK(summary.at("epochs") == 2);
  CHECK(summary.at("last_epoch").at("steps") == 6);
  const SafetensorsFile checkpoint = SafetensorsFile::read(runs.run_file("cut", "checkpoint.safetensors"));
  CHECK(checkpoint.metadata().at("epoch") == "1");
  CHECK(checkpoint.metadata().at("step_in_epoch") == "2");
  const SafetensorsFile model = SafetensorsFile::read(runs.run_file("cut", "model.safetensors"));
  CHECK(model.get<float>("conv.0.weight") == checkpoint.get<float>("model/conv.0.weight"));

  // Resumed as it is, it has nothing to train and evaluates again.
  const std::vector<std::uint8_t> model_bytes = read_file(runs.run_file("cut", "model.safetensors"));
  require_done(runs.resume("cut"));
  CHECK(read_file(runs.run_file("cut", "model.safetensors")) == model_bytes);
  CHECK(rows_of(runs, "cut", {"epoch", "steps"}) == rows);

  const ProcessResult less = runs.resume("cut", {"run.max_steps=5"});
  CHECK(less.exit_code == 3);
  CHECK(has(less.err, "run.max_steps = 5: '" + runs.run_folder("cut") +
                          "' has done 6 steps; expected: that number or more, or 0 for no limit"));
  CHECK(read_file(runs.run_file("cut", "model.safetensors")) == model_bytes);

  require_done(runs.resume("cut", {"run.max_steps=7"}));
  CHECK(rows_of(runs, "cut", {"epoch", "steps"}) == std::vector<std::string>{"1 4", "2 7"});
  require_done(runs.resume("cut", {"run.max_steps=0"}));
  check_same_end(runs, "whole", "cut");
}

TEST_CASE("max_steps: what a method does at an epoch's end waits until the epoch has ended") {
  std::vector<std::string> settings = kThreeEpochs;
  settings.insert(settings.end(), {"objective.method=pop", "pop.warm_up=0", "pop.window=1", "pop.theta=0.9"});
  const EngineRuns runs(settings);
  require_done(runs.train("whole"));
  require_done(runs.train("epoch", {"run.max_steps=4"}));
  require_done(runs.train("cut", {"run.max_steps=7"}));
  CHECK(excluded_in(runs, "epoch") > 0);
  CHECK(excluded_in(runs, "cut") == excluded_in(runs, "epoch"));
  CHECK(excluded_in(runs, "cut") < excluded_in(runs, "whole"));
  require_done(runs.resume("cut", {"run.max_steps=0"}));
  check_same_end(runs, "whole", "cut");
}

TEST_CASE("max_steps at the end of an epoch, and beyond the epochs") {
  const EngineRuns runs(kThreeEpochs);
  require_done(runs.train("whole"));
  require_done(runs.train("more", {"run.max_steps=1000"}));
  check_same_end(runs, "whole", "more");
  require_done(runs.train("cut", {"run.max_steps=4"}));
  CHECK(rows_of(runs, "cut", {"epoch", "steps"}) == std::vector<std::string>{"1 4"});
  CHECK(rows_of(runs, "cut", {"test_accuracy"})[0] != "");  // evaluation.every is 2, but it is the last
  const ProcessResult again = runs.resume("cut");
  require_done(again);
  CHECK(has(again.out, "is complete: 1 epochs; nothing to do"));
  require_done(runs.resume("cut", {"run.max_steps=12"}));
  CHECK(rows_of(runs, "cut", {"epoch", "steps"}) == std::vector<std::string>{"1 4", "2 8", "3 12"});
  CHECK(read_file(runs.run_file("whole", "model.safetensors")) ==
        read_file(runs.run_file("cut", "model.safetensors")));
}

TEST_CASE("max_steps: the epoch that it cuts short can be selected, and is forgotten when the run goes on") {
  const EngineRuns runs({"run.epochs=2", "log.charts=false", "data.selection_fraction=0.5",
                         "evaluation.selection=covering_rate"});  // 2 steps an epoch
  require_done(runs.train("whole"));
  require_done(runs.train("cut", {"run.max_steps=1"}));
  CHECK(SafetensorsFile::read(runs.run_file("cut", "model_selected.safetensors")).metadata().at("epochs") ==
        "1");
  CHECK(summary_of(runs, "cut").at("protocols").at("covering_rate").at("epoch") == 1);
  require_done(runs.resume("cut", {"run.max_steps=0"}));
  check_same_end(runs, "whole", "cut");
  CHECK(read_file(runs.run_file("whole", "model_selected.safetensors")) ==
        read_file(runs.run_file("cut", "model_selected.safetensors")));
}
