// Tables and charts while a run goes on: rows are appended, lost ones are cut, charts are not drawn every
// epoch.
#include "report/run_tables.h"

#include <sys/stat.h>

#include <filesystem>

#include "cli/engine_runs.h"
#include "support/temp_dir.h"

using namespace dpll;
using namespace dpll::test;

namespace fs = std::filesystem;

namespace {

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

ino_t file_number(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_ino;
}

struct Tables {
  explicit Tables(bool charts = false, int steps = 0) : log(dir.file("train.log"), false) {
    config.log.charts = charts;
    config.log.steps = steps;
  }
  std::string csv() const { return read_text(dir.file("metrics.csv")); }
  std::string jsonl() const { return read_text(dir.file("metrics.jsonl")); }
  // Both files hold the history, whatever wrote them.
  void check_hold(const History& history) const {
    write_metrics(history, dir.file("want.csv"), dir.file("want.jsonl"));
    CHECK(csv() == read_text(dir.file("want.csv")));
    CHECK(jsonl() == read_text(dir.file("want.jsonl")));
  }

  TempDir dir;
  RunConfig config;
  Log log;
};

}  // namespace

TEST_CASE("run tables: rows are appended, and files that are lost or foreign are made whole") {
  Tables t;
  RunTables tables(t.config, t.dir.path(), t.log);
  tables.begin(history_of(0), 0);
  CHECK_FALSE(fs::exists(t.dir.file("metrics.csv")));
  tables.epoch_done(history_of(1));
  t.check_hold(history_of(1));
  const ino_t first = file_number(t.dir.file("metrics.csv"));
  tables.epoch_done(history_of(2));
  tables.epoch_done(history_of(3));
  t.check_hold(history_of(3));
  CHECK(file_number(t.dir.file("metrics.csv")) == first);
  fs::remove(t.dir.file("metrics.jsonl"));
  tables.epoch_done(history_of(4));
  t.check_hold(history_of(4));
  // A folder in the way: a warning, and all rows once it has gone.
  fs::remove(t.dir.file("metrics.csv"));
  fs::create_directory(t.dir.file("metrics.csv"));
  tables.epoch_done(history_of(5));
  CHECK(has(read_text(t.dir.file("train.log")), "it is tried again after the next epoch"));
  fs::remove(t.dir.file("metrics.csv"));
  tables.epoch_done(history_of(6));
  t.check_hold(history_of(6));
}

TEST_CASE("run tables: what lies beyond the checkpoint is cut when a run goes on") {
  const std::string header = "step,epoch,loss,supervised_loss,consistency_loss,lr,lambda\n";
  for (const int steps : {0, 1}) {
    CAPTURE(steps);
    Tables t(false, steps);
    write_metrics(history_of(5), t.dir.file("metrics.csv"), t.dir.file("metrics.jsonl"));
    write_text(t.dir.file("steps.csv"), header + "1,1,1,1,1,1,1\n2,1,1,1,1,1,1\n3,2,1,1,1,1,1\n4,2,1,");
    RunTables tables(t.config, t.dir.path(), t.log);
    tables.begin(history_of(1), 2);
    t.check_hold(history_of(1));
    CHECK(read_text(t.dir.file("steps.csv")) == header + "1,1,1,1,1,1,1\n2,1,1,1,1,1,1\n");
    tables.epoch_done(history_of(2));
    t.check_hold(history_of(2));
  }
}

TEST_CASE("run tables: charts are drawn after the first epoch and at the end, and not every time between") {
  Tables t(true);
  const std::string chart = t.dir.file("loss.png");
  RunTables tables(t.config, t.dir.path(), t.log);
  tables.begin(history_of(0), 0);
  CHECK_FALSE(fs::exists(chart));
  tables.epoch_done(history_of(1));
  const ino_t first = file_number(chart);
  tables.epoch_done(history_of(2));
  CHECK(file_number(chart) == first);
  tables.finish(history_of(2));
  const ino_t last = file_number(chart);
  CHECK(last != first);
  tables.finish(history_of(2));  // nothing new to be drawn
  CHECK(file_number(chart) == last);
}
