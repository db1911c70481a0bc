#include "dpll/run_charts.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "data/image_file.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "report/style.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/mutate.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::report::Colour;
using dpll::report::kPalette;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::TempDir;

namespace {

const double kNaN = std::nan("");

History small_history() {
  return {{"epoch", "lr", "lambda", "train_loss", "supervised_loss", "consistency_loss",
           "pseudo_label_accuracy", "covering_rate", "test_loss", "test_accuracy"},
          {{1, 0.1, 0.25, 2.3, 2.0, 1.2, 0.4, 0.3, 2.1, 0.35},
           {2, 0.1, 0.50, 1.9, 1.5, 0.8, 0.6, 0.5, kNaN, kNaN},
           {3, 0.1, 0.75, 1.5, 1.0, 0.7, 0.7, 0.6, 1.2, 0.65}}};
}

// Pixels of each palette colour in a PNG file.
std::vector<int> palette_pixels(const std::string& path) {
  const std::vector<std::uint8_t> file = read_file(path);
  const ImageSet image = decode_image(file, path, 3);
  std::vector<int> counts(kPalette.size());
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    const unsigned char* p = &image.pixels[i];
    for (std::size_t k = 0; k < kPalette.size(); ++k) {
      const Colour& c = kPalette[k];
      counts[k] += p[0] == c.red && p[1] == c.green && p[2] == c.blue ? 1 : 0;
    }
  }
  return counts;
}

// Without the synchronisation of an atomic write, which takes longer than the whole test.
void write_plain(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  REQUIRE(file.flush().good());
}

History history_of(const std::string& text) {
  const TempDir folder;
  write_plain(folder.file("metrics.csv"), text);
  return read_metrics_csv(folder.file("metrics.csv"));
}

}  // namespace

TEST_CASE("the charts of a run show its metrics") {
  const TempDir folder;
  draw_run_charts(small_history(), "quick", folder.path());
  const std::vector<int> loss = palette_pixels(folder.file("loss.png"));
  const std::vector<int> accuracy = palette_pixels(folder.file("accuracy.png"));
  const std::vector<int> schedule = palette_pixels(folder.file("schedule.png"));
  // total, test, supervised, validation (absent), consistency
  for (const std::size_t shown : {0u, 1u, 2u, 4u}) CHECK(loss[shown] > 300);
  CHECK(loss[3] == 0);
  // test, pseudo-labels, covering rate; neither training accuracy nor validation
  for (const std::size_t shown : {1u, 2u, 4u}) CHECK(accuracy[shown] > 300);
  for (const std::size_t absent : {0u, 3u}) CHECK(accuracy[absent] == 0);
  for (const std::size_t shown : {0u, 1u}) CHECK(schedule[shown] > 300);
}

TEST_CASE("the charts of a run that has nothing to show yet") {
  const TempDir folder;
  draw_run_charts(History{}, "empty", folder.path());
  History history = small_history();
  history.rows.clear();
  draw_run_charts(history, "empty", folder.path());
  for (const char* name : {"loss.png", "accuracy.png", "schedule.png"}) {
    CHECK(std::filesystem::exists(folder.file(name)));
  }
  CHECK(error_of([&] { draw_run_charts(history, "gone", folder.file("nowhere")); }).code() == ExitCode::run);
}

TEST_CASE("runs are compared by one column") {
  History second = small_history();
  second.rows.resize(1);
  const Chart chart = compare_runs_chart({{"a", small_history()}, {"b", second}}, "test_accuracy");
  REQUIRE(chart.series.size() == 2);
  CHECK(chart.series[0].label == "a");
  CHECK(chart.series[0].x == std::vector<double>{1, 3});  // epochs without evaluation do not break the line
  CHECK(chart.series[0].y == std::vector<double>{35, 65});
  CHECK(chart.series[1].y == std::vector<double>{35});
  CHECK(chart.y.label == "test accuracy (%)");
  CHECK(chart.x.label == "epoch");
  CHECK(chart.x.integer_ticks);
  CHECK(compare_runs_chart({{"a", small_history()}}, "train_loss").series[0].y ==
        std::vector<double>{2.3, 1.9, 1.5});

  const Error error = error_of([&] { compare_runs_chart({{"run7", small_history()}}, "accuracy"); });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "run7"));
  CHECK(contains(error, "\"accuracy\""));
  CHECK(contains(error, "test_accuracy"));
}

TEST_CASE("without an epoch column the rows are counted") {
  const History history{{"train_loss"}, {{3}, {2}}};
  CHECK(compare_runs_chart({{"a", history}}, "train_loss").series[0].x == std::vector<double>{1, 2});
}

TEST_CASE("losses over several orders of magnitude get a logarithmic axis") {
  const auto logarithmic = [](const std::vector<double>& losses) {
    History history{{"train_loss"}, {}};
    for (const double loss : losses) history.rows.push_back({loss});
    return compare_runs_chart({{"a", history}}, "train_loss").y.logarithmic;
  };
  CHECK(logarithmic({2.3, 0.1, 0.002}));
  CHECK_FALSE(logarithmic({2.3, 0.1, 0.01}));
  CHECK_FALSE(logarithmic({2.3, 0.1, 0}));  // zero has no place there
}

TEST_CASE("metrics.csv is read") {
  const History history = history_of("epoch,train_loss,test_accuracy\n1,2.25,\n2,1e-3,0.5\n3,nan,-inf\n");
  CHECK(history.columns == std::vector<std::string>{"epoch", "train_loss", "test_accuracy"});
  REQUIRE(history.rows.size() == 3);
  CHECK(history.rows[0][1] == 2.25);
  CHECK(std::isnan(history.rows[0][2]));
  CHECK(history.rows[1] == std::vector<double>{2, 1e-3, 0.5});
  CHECK(std::isnan(history.rows[2][1]));
  CHECK(history.rows[2][2] == -std::numeric_limits<double>::infinity());
  CHECK(history_of("epoch,lr\r\n1,0.5\r\n").rows == std::vector<std::vector<double>>{{1, 0.5}});
  CHECK(history_of("\ufeff\"epoch\",lr\n1,\"0.5\"\n\n").rows == std::vector<std::vector<double>>{{1, 0.5}});
  CHECK(history_of("epoch,lr\n").rows.empty());
  CHECK(history_of("epoch,lr\n1,0.5").rows.size() == 1);  // no newline at the end
}

TEST_CASE("a metrics.csv that is damaged is an error that names file and line") {
  struct Case {
    std::string text, message;
  };
  const std::vector<Case> cases = {
      {"", "metrics.csv:1: empty file"},
      {"\n", "metrics.csv:1: empty file"},
      {"\nepoch\n", "metrics.csv:1: \"\" is not a column name"},
      {"epoch,\"lr\n", "metrics.csv:1: \"epoch,\"lr\": a quote is not closed"},
      {"epoch,,lr\n", "metrics.csv:1: \"\" is not a column name"},
      {"epoch,lr,epoch\n", "metrics.csv:1: column epoch appears twice"},
      {"epoch,l\x01r\n", "metrics.csv:1: \"l\\x01r\" is not a column name"},
      {"epoch,lr\n1,0.1\n2\n", "metrics.csv:3: 1 fields, but line 1 names 2 columns"},
      {"epoch,lr\n1,0.1,7\n", "metrics.csv:2: 3 fields, but line 1 names 2 columns"},
      {"epoch,lr\n\n1,0.1\n", "metrics.csv:2: 1 fields"},
      {"epoch,lr\n1,0.1x\n", "metrics.csv:2: column lr: \"0.1x\" is not a number"},
      {"epoch,lr\n1, 0.1\n", "metrics.csv:2: column lr: \" 0.1\" is not a number"},
      {"epoch,lr\n1,1e999\n", "metrics.csv:2: column lr: \"1e999\" is not a number"},
      {"epoch,lr\n1," + std::string(1000, 'z') + "\n", "zzz...\" is not a number"},
      {std::string("epoch,lr\n1,0.1\0\n", 15), "metrics.csv:2: column lr: \"0.1\\x00\" is not a number"},
  };
  for (const Case& bad : cases) {
    INFO(bad.text);
    const Error error = error_of([&] { history_of(bad.text); });
    CHECK(error.code() == ExitCode::data);
    CHECK(contains(error, bad.message));
  }
  const TempDir folder;
  const Error missing = error_of([&] { read_metrics_csv(folder.file("none.csv")); });
  CHECK(missing.code() == ExitCode::data);
  CHECK(contains(missing, "none.csv"));
}

TEST_CASE("whatever stands in metrics.csv, it is read or refused") {
  const std::string text = "epoch,train_loss,test_accuracy\n1,2.25,\n2,1e-3,0.5\n3,nan,0.75\n";
  const TempDir folder;
  int refused = 0;
  for (std::uint32_t trial = 0; trial < 400; ++trial) {
    const std::vector<std::uint8_t> damaged = test::mutate({text.begin(), text.end()}, trial, text.size());
    write_plain(folder.file("metrics.csv"), {damaged.begin(), damaged.end()});
    try {
      const History history = read_metrics_csv(folder.file("metrics.csv"));
      for (const std::vector<double>& row : history.rows) CHECK(row.size() == history.columns.size());
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::data);
      ++refused;
    }
  }
  CHECK(refused > 50);
}
