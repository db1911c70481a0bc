// What follows a run: rows are appended, lost ones are cut, charts are not drawn every epoch, and what cannot
// be written is a warning.
#include "report/listeners.h"

#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>

#include "cli/engine_runs.h"
#include "report/metrics_files.h"
#include "support/temp_dir.h"

using namespace dpll;
using namespace dpll::test;

namespace fs = std::filesystem;

namespace {

const std::string kStepsHeader = "step,epoch,loss,supervised_loss,consistency_loss,lr,lambda\n";

History history_of(int epochs) {
  History history{metrics_columns(), {}};
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    std::vector<double> row(history.columns.size(), 0.25 * epoch);
    row[0] = epoch;
    row[13] = std::numeric_limits<double>::quiet_NaN();
    history.rows.push_back(row);
  }
  return history;
}

std::vector<StepFigures> steps_of(std::int64_t first, std::int64_t last) {
  std::vector<StepFigures> steps;
  for (std::int64_t step = first; step <= last; ++step)
    steps.push_back({.step = step, .epoch = 1, .loss = 0.5});
  return steps;
}

ino_t file_number(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_ino;
}

// A run's folder and those who follow it, told of runs that there are not.
struct Told {
  Told() : log(dir.file("train.log"), false), listeners(log) {}
  void start(int epochs, std::int64_t steps) {
    const History history = history_of(epochs);
    listeners.start({.history = history, .epochs = epochs, .steps = steps});
  }
  void epoch_done(int epochs) {
    const History history = history_of(epochs);
    listeners.epoch_done({}, {.history = history, .epochs = epochs});
  }
  void finish(int epochs) {
    const History history = history_of(epochs);
    listeners.finish({.history = history, .epochs = epochs});
  }
  std::string text(const std::string& name) const { return read_text(dir.file(name)); }
  int warnings() const {
    int count = 0;
    for (const std::string& line : lines_of(text("train.log"))) count += has(line, "  warning: ") ? 1 : 0;
    return count;
  }
  // Both files hold the history, whatever wrote them.
  void check_metrics(int epochs) const {
    write_metrics(history_of(epochs), dir.file("want.csv"), dir.file("want.jsonl"));
    CHECK(text("metrics.csv") == text("want.csv"));
    CHECK(text("metrics.jsonl") == text("want.jsonl"));
  }

  TempDir dir;
  Log log;
  RunListeners listeners;
};

// Fails wherever it is told something, and writes down what.
class Failing final : public RunListener {
 public:
  Failing(std::string& told, bool required) : told_(told), required_(required) {}
  std::string name() const override { return "failing"; }
  bool required() const override { return required_; }
  void start(const RunState&) override { failed("start"); }
  void epoch_begins() override { failed("begins"); }
  void steps(const std::vector<StepFigures>&) override { failed("steps"); }
  void epoch_done(const EpochFigures&, const RunState&) override { failed("done"); }
  void finish(const RunState&) override { failed("finish"); }
  void stop(const RunState&) override { failed("stop"); }

 private:
  void failed(const char* what) {
    told_ += std::string(what) + " ";
    throw std::runtime_error(std::string("no ") + what);
  }
  std::string& told_;
  bool required_;
};

}  // namespace

TEST_CASE("listeners: one that fails is a warning for its event, and those behind it are told all the same") {
  Told t;
  std::string first, second;
  t.listeners.add(std::make_unique<Failing>(first, false));
  t.listeners.add(std::make_unique<Failing>(second, false));
  t.start(0, 0);
  t.listeners.steps({});  // nothing to be told
  t.listeners.epoch_begins();
  for (int i = 1; i <= 5; ++i) t.listeners.steps(steps_of(i, i));
  t.epoch_done(1);
  t.finish(1);
  CHECK(first == "start begins steps steps steps steps steps done finish ");
  CHECK(second == first);
  const std::string log = t.text("train.log");
  CHECK(has(log, "warning: failing: no start; training goes on, and it is tried again"));
  CHECK(has(log, "warning: failing: no finish; --resume tries it again"));
  CHECK(t.warnings() == 4);  // not one a step

  Told strict;
  std::string told, behind;
  strict.listeners.add(std::make_unique<Failing>(told, true));
  strict.listeners.add(std::make_unique<Failing>(behind, false));
  CHECK_THROWS_WITH_AS(strict.epoch_done(1), "no done", std::runtime_error);
  CHECK(behind.empty());
  CHECK(strict.warnings() == 0);
}

TEST_CASE("metrics listener: rows are appended, and files that are lost or foreign are made whole") {
  Told t;
  t.listeners.add(make_metrics_listener(t.dir.path()));
  t.start(0, 0);
  CHECK_FALSE(fs::exists(t.dir.file("metrics.csv")));
  t.epoch_done(1);
  t.check_metrics(1);
  const ino_t first = file_number(t.dir.file("metrics.csv"));
  t.epoch_done(2);
  t.epoch_done(3);
  t.check_metrics(3);
  CHECK(file_number(t.dir.file("metrics.csv")) == first);
  fs::remove(t.dir.file("metrics.jsonl"));
  t.epoch_done(4);
  t.check_metrics(4);
  // A folder in the way: a warning, and all rows once it has gone.
  fs::remove(t.dir.file("metrics.csv"));
  fs::create_directory(t.dir.file("metrics.csv"));
  t.epoch_done(5);
  CHECK(t.warnings() == 1);
  fs::remove(t.dir.file("metrics.csv"));
  t.epoch_done(6);
  t.check_metrics(6);
  CHECK(t.warnings() == 1);
}

TEST_CASE("metrics and steps listeners: what lies beyond the checkpoint is cut when a run goes on") {
  for (const int every : {0, 1}) {
    CAPTURE(every);
    Told t;
    t.listeners.add(make_metrics_listener(t.dir.path()));
    t.listeners.add(make_steps_listener(t.dir.path(), every));
    write_metrics(history_of(5), t.dir.file("metrics.csv"), t.dir.file("metrics.jsonl"));
    const std::string rows = "1,1,1,1,1,1,1\n2,1,1,1,1,1,1\n";
    write_text(t.dir.file("steps.csv"), kStepsHeader + rows + "3,2,1,1,1,1,1\n4,2,1,");
    t.start(1, 2);
    t.check_metrics(1);
    CHECK(t.text("steps.csv") == kStepsHeader + rows);
    t.listeners.steps(steps_of(3, 3));
    CHECK(t.text("steps.csv") == kStepsHeader + rows + (every == 1 ? "3,1,0.5,0,0,0,0\n" : ""));
    t.epoch_done(2);
    t.check_metrics(2);
    CHECK(t.warnings() == 0);
  }
}

TEST_CASE("steps listener: rows that could not be written are there as soon as it can be done") {
  Told t;
  t.listeners.add(make_steps_listener(t.dir.path(), 2));
  const std::string file = t.dir.file("steps.csv");
  fs::create_directory(file);
  t.start(0, 0);
  for (int step = 1; step <= 4; ++step) t.listeners.steps(steps_of(step, step));
  CHECK(t.warnings() > 0);
  fs::remove(file);
  t.listeners.steps(steps_of(5, 7));
  const std::string rows = "2,1,0.5,0,0,0,0\n4,1,0.5,0,0,0,0\n6,1,0.5,0,0,0,0\n";
  CHECK(t.text("steps.csv") == kStepsHeader + rows);
  // The folder comes back, and the run ends with a row that only finish() can write.
  fs::rename(file, t.dir.file("aside"));
  fs::create_directory(file);
  t.listeners.steps(steps_of(8, 8));
  fs::remove(file);
  fs::rename(t.dir.file("aside"), file);
  // As a write that was cut off leaves it.
  write_text(file, kStepsHeader + rows + "8,1,0.");
  t.finish(1);
  CHECK(t.text("steps.csv") == kStepsHeader + rows + "8,1,0.5,0,0,0,0\n");
}

TEST_CASE("charts listener: drawn after the first epoch and at the end, and not every time between") {
  Told t;
  t.listeners.add(make_charts_listener(t.dir.path(), "run"));
  const std::string chart = t.dir.file("loss.png");
  t.start(0, 0);
  CHECK_FALSE(fs::exists(chart));
  t.epoch_done(1);
  const ino_t first = file_number(chart);
  t.epoch_done(2);
  CHECK(file_number(chart) == first);
  t.finish(2);
  const ino_t last = file_number(chart);
  CHECK(last != first);
  t.finish(2);  // nothing new to be drawn
  CHECK(file_number(chart) == last);
}

TEST_CASE("epoch figures: each column has the value of its name, and those of the method follow") {
  EpochFigures epoch;
  epoch.epoch = 3;
  epoch.steps = 30;
  epoch.learning_rate = 0.5;
  epoch.lambda = 0.75;
  epoch.sums = {.samples = 8,
                .total = 16,
                .supervised = 24,
                .consistency = 32,
                .labelled = 4,
                .train_correct = 1,
                .pseudo_correct = 2,
                .covered = 6,
                .target_entropy = 12,
                .target_max = 5,
                .target_changed = 7,
                .nonfinite = 9};
  epoch.scores.test_loss = 1.5;
  epoch.scores.test_accuracy = 0.625;
  epoch.scores.validation_loss = 1.25;
  epoch.scores.validation_accuracy = 0.375;
  epoch.scores.average_test_accuracy = 0.6875;
  epoch.scores.selection = {0.875, 0.8125};
  epoch.views = 3;
  epoch.seconds = 2;
  epoch.skipped_steps = 11;
  epoch.rollbacks = 1;
  epoch.scores.test = {.balanced_accuracy = 0.5,
                       .top5_accuracy = 0.75,
                       .calibration_error = 0.03125,
                       .many_accuracy = 0.25,
                       .medium_accuracy = 0.125,
                       .few_accuracy = 0.0625};
  epoch.prior_distance = 0.375;
  epoch.loss_scale = 1024;
  epoch.of_method = {{"margin", 0.125}};
  const std::vector<std::pair<std::string, double>> want = {{"epoch", 3},
                                                            {"steps", 30},
                                                            {"lr", 0.5},
                                                            {"lambda", 0.75},
                                                            {"train_loss", 2},
                                                            {"supervised_loss", 3},
                                                            {"consistency_loss", 4},
                                                            {"train_accuracy", 0.25},
                                                            {"pseudo_label_accuracy", 0.5},
                                                            {"covering_rate", 0.75},
                                                            {"target_entropy", 1.5},
                                                            {"target_change", 0.875},
                                                            {"target_max", 0.625},
                                                            {"validation_loss", 1.25},
                                                            {"validation_accuracy", 0.375},
                                                            {"test_loss", 1.5},
                                                            {"test_accuracy", 0.625},
                                                            {"ema_test_accuracy", 0.6875},
                                                            {"selection_covering_rate", 0.875},
                                                            {"selection_approximated_accuracy", 0.8125},
                                                            {"images_per_second", 12},
                                                            {"seconds", 2},
                                                            {"nonfinite", 9},
                                                            {"skipped_steps", 11},
                                                            {"loss_scale", 1024},
                                                            {"rollbacks", 1},
                                                            {"test_balanced_accuracy", 0.5},
                                                            {"test_top5_accuracy", 0.75},
                                                            {"test_many_accuracy", 0.25},
                                                            {"test_medium_accuracy", 0.125},
                                                            {"test_few_accuracy", 0.0625},
                                                            {"test_calibration_error", 0.03125},
                                                            {"prior_distance", 0.375},
                                                            {"margin", 0.125}};
  const std::vector<std::string> columns = metrics_columns({"margin"});
  const std::vector<double> row = epoch_row(epoch);
  REQUIRE(columns.size() == want.size());
  REQUIRE(row.size() == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    CHECK(columns[i] == want[i].first);
    CHECK_MESSAGE(row[i] == want[i].second, want[i].first);
  }
  CHECK(tensorboard_tag("epoch").empty());
  CHECK(tensorboard_tag("test_loss") == "loss/test");
  CHECK(tensorboard_tag("margin") == "method/margin");
  // No true labels: an empty cell, not 0.
  epoch.sums.labelled = 0;
  CHECK(std::isnan(epoch_row(epoch)[7]));
}
