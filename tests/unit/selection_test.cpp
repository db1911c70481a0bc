// Label-free selection: the held-out part, the two measures, the choice of an epoch.
#include "train/selection.h"

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "dpll/core/check.h"
#include "report/metrics_files.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "train/summary.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;

namespace {

const double kNone = std::numeric_limits<double>::quiet_NaN();

// Samples of one pixel that tells their index, with sets {index % 3, index % 5}.
DataSet counted(std::int64_t count) {
  DataSet data;
  data.classes = 5;
  data.train.count = count;
  data.train.height = data.train.width = data.train.channels = 1;
  for (std::int64_t i = 0; i < count; ++i) {
    data.train.pixels.push_back(static_cast<std::uint8_t>(i));
    data.train.labels.push_back(static_cast<std::int32_t>(i % 3));
    data.train_origin.push_back(1000 + i);
  }
  return data;
}

CandidateSets sets_of(const DataSet& data) {
  CandidateSets sets(data.train.count, data.classes);
  for (std::int64_t i = 0; i < sets.count; ++i) {
    sets.insert(i, static_cast<int>(i % 3));
    sets.insert(i, static_cast<int>(i % 5));
  }
  return sets;
}

// Every part's sample keeps its pixel, label, set and origin together.
void check_part(const ImageSet& images, const CandidateSets& sets) {
  REQUIRE(images.count == sets.count);
  REQUIRE(images.pixels.size() == static_cast<std::size_t>(images.count));
  for (std::int64_t i = 0; i < images.count; ++i) {
    const int original = images.pixels[static_cast<std::size_t>(i)];
    CHECK(images.labels[static_cast<std::size_t>(i)] == original % 3);
    for (int c = 0; c < 5; ++c) CHECK(sets.contains(i, c) == (c == original % 3 || c == original % 5));
    if (i > 0) CHECK(images.pixels[static_cast<std::size_t>(i - 1)] < original);
  }
}

History history_of(const std::vector<std::vector<double>>& rows) {
  return {{"epoch", "test_accuracy", "selection_covering_rate", "selection_approximated_accuracy"}, rows};
}

}  // namespace

TEST_CASE("selection: the held-out part leaves the training set with its sets, drawn by the seed") {
  const auto hold_out = [](double fraction, std::uint64_t seed) {
    DataSet data = counted(100);
    CandidateSets sets = sets_of(data);
    const SelectionPart part = hold_out_selection(data, sets, fraction, seed);
    check_part(data.train, sets);
    if (fraction > 0) check_part(part.images, part.candidates);
    std::set<std::uint8_t> all(data.train.pixels.begin(), data.train.pixels.end());
    all.insert(part.images.pixels.begin(), part.images.pixels.end());
    CHECK(all.size() == 100);
    for (std::size_t i = 0; i < data.train.pixels.size(); ++i) {
      CHECK(data.train_origin[i] == 1000 + data.train.pixels[i]);
    }
    return part.images.pixels;
  };
  CHECK(hold_out(0, 1).empty());
  CHECK(hold_out(0.1, 1).size() == 10);
  CHECK(hold_out(0.1, 1) == hold_out(0.1, 1));
  CHECK(hold_out(0.1, 1) != hold_out(0.1, 2));
  CHECK(hold_out(0.994, 1).size() == 99);
  DataSet data = counted(4);
  CandidateSets sets = sets_of(data);
  for (const double fraction : {0.1, 0.9}) {
    const Error error = error_of([&] { hold_out_selection(data, sets, fraction, 1); });
    CHECK(error.code() == ExitCode::config);
    CHECK(contains(error, "data.selection_fraction"));
  }
}

TEST_CASE("selection: covering rate and approximated accuracy are PLENCH's") {
  // Values by PLENCH's definitions, computed by hand.
  CandidateSets sets(4, 3);
  for (const int c : {0, 1}) sets.insert(0, c);     // predicts 0: covered, 0.5 / (0.5 + 0.25)
  for (const int c : {1, 2}) sets.insert(1, c);     // predicts 0: not covered
  sets.insert(2, 2);                                // predicts 2, the only candidate: 1
  for (const int c : {0, 1, 2}) sets.insert(3, c);  // all are candidates: the probability itself, 1/3
  const float half = std::log(0.5F), quarter = std::log(0.25F);
  const std::vector<float> logits = {half, quarter, quarter, half,  quarter, quarter,
                                     -900, -800,    800,     0.25F, 0.25F,   0.25F};
  const SelectionScores scores = selection_scores(logits, sets);
  CHECK(scores.covering_rate == doctest::Approx(0.75));
  CHECK(scores.approximated_accuracy == doctest::Approx((2.0 / 3 + 0 + 1 + 1.0 / 3) / 4));
  CHECK(error_of([&] { selection_scores({1, 2}, sets); }).code() == ExitCode::internal);
}

TEST_CASE("selection: the best epoch is the earliest of the greatest, epochs without a value left out") {
  const History history =
      history_of({{1, 0.5, 0.9, kNone}, {2, kNone, 0.95, 0.3}, {3, 0.8, 0.95, 0.2}, {4, 0.7, 0.9, kNone}});
  const auto best = best_epoch(history, "test_accuracy");
  REQUIRE(best.has_value());
  CHECK(best->epoch == 3);
  CHECK(best->value == 0.8);
  const auto covering = best_epoch(history, selection_column(SelectionRule::covering_rate));
  REQUIRE(covering.has_value());
  CHECK(covering->epoch == 2);
  CHECK(std::isnan(covering->test_accuracy));
  CHECK(best_epoch(history, selection_column(SelectionRule::approximated_accuracy))->epoch == 2);
  CHECK(!best_epoch(history_of({{1, 0.5, kNone, kNone}}), "selection_covering_rate"));
  CHECK(!best_epoch(history_of({}), "test_accuracy"));
}

TEST_CASE("selection: the protocols stand side by side in the summary and in the log") {
  const History history = history_of({{1, 0.5, 0.9, 0.6}, {2, 0.8, 0.95, 0.5}, {3, 0.7, 0.9, 0.4}});
  nlohmann::ordered_json summary;
  add_accuracies(summary, history, SelectionRule::covering_rate, 10);
  const auto& protocols = summary.at("protocols");
  CHECK(protocols.at("last_epoch").dump() == R"({"epoch":3,"test_accuracy":0.7})");
  CHECK(protocols.at("best_epoch").dump() == R"({"epoch":2,"test_accuracy":0.8,"oracle":true})");
  CHECK(protocols.at("covering_rate").dump() == R"({"epoch":2,"test_accuracy":0.8,"covering_rate":0.95})");
  CHECK(protocols.at("approximated_accuracy").dump() ==
        R"({"epoch":1,"test_accuracy":0.5,"approximated_accuracy":0.6})");
  CHECK(protocols.at("held_out_samples") == 10);
  CHECK(protocols.at("kept_by") == "covering_rate");
  CHECK(summary.at("oracle_best_epoch").at("epoch") == 2);
  CHECK(summary.at("last_epoch").at("test_accuracy") == 0.7);
  const std::vector<std::string> lines = accuracy_lines(history);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0].find("70.00%  last epoch") != std::string::npos);
  CHECK(lines[1].find("66.67%  mean of the last 3 evaluated epochs") != std::string::npos);
  CHECK(lines[1].find("(epochs 1 to 3)") != std::string::npos);
  CHECK(lines[2].find("80.00%  best epoch, oracle") != std::string::npos);
  CHECK(lines[4].find("50.00%  selected by approximated accuracy") != std::string::npos);
  CHECK(lines[4].find("(epoch 1, 60.00% held out)") != std::string::npos);

  nlohmann::ordered_json bare;
  add_accuracies(bare, history_of({{1, kNone, kNone, kNone}}), SelectionRule::covering_rate, 0);
  CHECK(bare.at("protocols").at("best_epoch").is_null());
  CHECK(bare.at("protocols").at("covering_rate").is_null());
  CHECK(bare.at("protocols").at("kept_by").is_null());
  CHECK(!bare.contains("oracle_best_epoch"));
  CHECK(bare.at("last_ten_epochs").is_null());
  CHECK(bare.at("protocols").at("last_ten_epochs").is_null());
  CHECK(accuracy_lines(history_of({{1, kNone, kNone, kNone}})).empty());
}

TEST_CASE("summary: the last ten evaluated epochs are averaged, or as many as there are") {
  // Every other epoch is evaluated, epoch 2k with an accuracy of 0.01 k.
  std::vector<std::vector<double>> rows;
  for (int epoch = 1; epoch <= 24; ++epoch) {
    const double accuracy = epoch % 2 == 0 ? 0.005 * epoch : kNone;
    rows.push_back({double(epoch), accuracy, kNone, kNone});
  }
  const LastTen last = last_ten_epochs(history_of(rows));
  CHECK(last.epochs == 10);
  CHECK(last.first == 6);
  CHECK(last.last == 24);
  nlohmann::ordered_json summary;
  add_accuracies(summary, history_of(rows), SelectionRule::covering_rate, 0);
  const auto& means = summary.at("last_ten_epochs");
  CHECK(means.at("epochs") == 10);
  CHECK(means.at("first") == 6);
  CHECK(means.at("last") == 24);
  CHECK(means.at("test_accuracy").get<double>() == doctest::Approx(0.075));
  CHECK(means.at("selection_approximated_accuracy").is_null());
  CHECK(!means.contains("selection_covering_rate"));
  CHECK(summary.at("protocols").at("last_ten_epochs").at("test_accuracy") == means.at("test_accuracy"));
  CHECK(accuracy_lines(history_of(rows))[1].find("mean of the last 10 evaluated epochs") !=
        std::string::npos);
  // One alone is no mean: the log does not say it twice.
  rows.resize(2);
  CHECK(last_ten_epochs(history_of(rows)).epochs == 1);
  CHECK(accuracy_lines(history_of(rows)).size() == 2);
}

TEST_CASE("history: columns of another version are matched by name") {
  const History old{{"epoch", "gone", "test_accuracy"}, {{1, 2, 3}, {4, 5, 6}}};
  const History now = with_columns(old, {"epoch", "new", "test_accuracy"});
  REQUIRE(now.rows.size() == 2);
  CHECK(now.rows[1][0] == 4);
  CHECK(std::isnan(now.rows[1][1]));
  CHECK(now.rows[1][2] == 6);
}
