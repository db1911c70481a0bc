// What a trained run answers: predictions for tables and the likeliest classes, the posterior of candidates
// and what speaks against their sets.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"
#include "io/csv.h"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;

namespace {

using Rows = std::vector<std::vector<std::string>>;

Rows table_in(const std::string& path) {
  Rows rows;
  for (const std::string& line : lines_of(read_text(path))) rows.push_back(csv_fields(line).value());
  return rows;
}

// Features of two classes that are far apart, with a large mean, so that predictions are wrong without the
// standardisation of training; the last feature is constant.
std::vector<float> features_of(int count) {
  std::vector<float> features;
  for (int i = 0; i < count; ++i) {
    for (int d = 0; d < 3; ++d) {
      features.push_back(d == 2 ? 7.0F : static_cast<float>(1000 + 50 * (i % 2) + (i * 7 + d * 3) % 11));
    }
  }
  return features;
}

// Trains run `name` on them; `count` samples, of which the same 8 are the test set.
std::vector<std::string> on_features(const EngineRuns& runs) {
  std::vector<std::int64_t> labels;
  for (int i = 0; i < 24; ++i) labels.push_back(i % 2);
  const std::vector<float> features = features_of(24);
  SafetensorsWriter writer;
  writer.add("features", DType::f32, {24, 3}, features.data());
  writer.add("labels", DType::i64, {24}, labels.data());
  writer.write(runs.file("features.safetensors"));
  return {"data.dataset=safetensors",
          "data.path=" + runs.file("features.safetensors"),
          "run.epochs=8",
          "candidates.min_distractors=0",
          "model.architecture=mlp",
          "model.hidden=8",
          "log.charts=false"};
}

ProcessResult predict(const EngineRuns& runs, const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"predict", runs.run_folder("a"), "--out", runs.file("p.csv")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run_process(engine(all));
}

void check_one_line(const ProcessResult& result, int exit_code, const std::string& part) {
  CAPTURE(result.err);
  CHECK(result.exit_code == exit_code);
  CHECK(lines_of(result.err).size() == 1);
  CHECK(has(result.err, part));
}

}  // namespace

TEST_CASE("predict reads feature vectors from CSV and safetensors, standardised as in training") {
  const EngineRuns runs;
  require_done(runs.train("a", on_features(runs)));
  const std::string tensors = runs.file("features.safetensors"), csv = runs.file("new.csv");
  std::string text = "left, right, constant\n";
  const std::vector<float> features = features_of(6);
  for (std::size_t i = 0; i < 6; ++i) {
    text += fmt::format("{}, {},{}\r\n", features[3 * i], features[3 * i + 1], features[3 * i + 2]);
  }
  write_text(csv, text);
  const ProcessResult done = predict(runs, {"--features", tensors, csv});
  require_done(done);
  CHECK(has(done.out, "30 samples classified"));
  const Rows rows = table_in(runs.file("p.csv"));
  REQUIRE(rows.size() == 31);
  CHECK(rows[0] == std::vector<std::string>{"file", "index", "label", "name", "probability"});
  for (std::size_t i = 0; i < 30; ++i) {
    const std::vector<std::string>& row = rows[i + 1];
    const std::size_t index = i < 24 ? i : i - 24;
    CHECK(row[0] == (i < 24 ? tensors : csv));
    CHECK(row[1] == std::to_string(index));
    CHECK(row[2] == std::to_string(index % 2));
    // The same sample in both files.
    CHECK(row[4] == rows[index + 1][4]);
  }

  // A model of an earlier version does not say how to standardise; the run's data do.
  const std::string before = read_text(runs.file("p.csv")), model = runs.run_file("a", "model.safetensors");
  const SafetensorsFile file = SafetensorsFile::read(model);
  CHECK(file.metadata().contains("feature_means"));
  SafetensorsWriter old;
  for (const auto& [name, entry] : file.entries()) old.add(name, entry.dtype, entry.shape, file.data(name));
  for (const auto& [key, value] : file.metadata()) {
    if (!key.starts_with("feature_") && key != kDigestKey) old.set_metadata(key, value);
  }
  old.write(model);
  require_done(predict(runs, {"--features", tensors, csv}));
  CHECK(read_text(runs.file("p.csv")) == before);
}

TEST_CASE("predict refuses tables that do not fit, and what is of the other kind, in one line") {
  const EngineRuns runs;
  require_done(runs.train("a", on_features(runs)));
  const auto refused = [&](const std::string& text, const std::string& part) {
    write_text(runs.file("t.csv"), text);
    check_one_line(predict(runs, {"--features", runs.file("t.csv")}), 4, part);
  };
  refused("1,2\n", "t.csv:1: 2 fields; the network takes 3 features");
  refused("a,b,c\n1,2,3\n1,2\n", "t.csv:3: 2 fields");
  refused("1,x,3\n", "t.csv:1: \"x\" is not a finite number");
  refused("1,2,3\n1,nan,3\n", "t.csv:2: \"nan\" is not a finite number");
  refused("1,2,3\n1,,3\n", "t.csv:2: \"\" is not a finite number");
  refused("a,b,c\n", "t.csv: it has no sample");
  SafetensorsWriter writer;
  writer.add("features", DType::f32, {2, 2}, std::vector<float>(4).data());
  writer.write(runs.file("narrow.safetensors"));
  check_one_line(predict(runs, {"--features", runs.file("narrow.safetensors")}), 4,
                 "samples of 2 features; the network takes 3");
  check_one_line(predict(runs, {"--features", runs.file("none.csv")}), 4, "none.csv");
  check_one_line(predict(runs, {"--images", kFashionFolder}), 3,
                 "was trained on feature vectors; expected --features");
  check_one_line(predict(runs, {}), 2, "--features");
  check_one_line(predict(runs, {"--features", runs.file("t.csv"), "--top", "0"}), 2, "--top");
  write_text(runs.file("t.csv"), "1,2,3\n");
  check_one_line(predict(runs, {"--features", runs.file("t.csv"), "--top", "3"}), 2,
                 "--top 3: the network tells 2 classes apart");
}

TEST_CASE("predict --top writes the likeliest classes with their probabilities") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  require_done(runs.train("a"));
  const std::string images = kFashionFolder + "/t10k-images-idx3-ubyte";
  check_one_line(predict(runs, {"--features", images}), 3, "was trained on images; expected --images");
  require_done(predict(runs, {"--images", images}));
  const Rows one = table_in(runs.file("p.csv"));
  require_done(predict(runs, {"--images", images, "--top", "10"}));
  const Rows ten = table_in(runs.file("p.csv"));
  REQUIRE(ten.size() == one.size());
  CHECK(ten[0].size() == 22);
  CHECK(ten[0][2] == "class_1");
  CHECK(ten[0][21] == "probability_10");
  for (std::size_t i = 1; i < ten.size(); ++i) {
    CHECK(ten[i][0] == one[i][0]);
    CHECK(ten[i][2] == one[i][3]);
    CHECK(std::stod(ten[i][3]) == doctest::Approx(std::stod(one[i][4])).epsilon(1e-5));
    std::vector<std::string> classes;
    double sum = 0;
    for (std::size_t k = 2; k < 22; k += 2) {
      classes.push_back(ten[i][k]);
      const double probability = std::stod(ten[i][k + 1]);
      sum += probability;
      if (k > 2) CHECK(probability <= std::stod(ten[i][k - 1]));
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-5));
    std::sort(classes.begin(), classes.end());
    CHECK(std::adjacent_find(classes.begin(), classes.end()) == classes.end());
  }
  require_done(predict(runs, {"--images", images, "--top", "2"}));
  const Rows two = table_in(runs.file("p.csv"));
  for (std::size_t i = 0; i < two.size(); ++i) {
    CHECK(two[i] == std::vector<std::string>(ten[i].begin(), ten[i].begin() + 6));
  }
}

TEST_CASE("labels.csv has the posterior of every candidate and the probability outside of the set") {
  const EngineRuns runs({"run.epochs=2", "log.charts=false"});
  require_done(runs.train("a"));
  const Rows labels = table_in(runs.run_file("a", "labels.csv"));
  REQUIRE(labels.size() == 33);
  CHECK(labels[0] ==
        std::vector<std::string>{"sample", "candidates", "label", "probability", "posterior", "miss"});
  // The probabilities of the training images, by the finished model.
  require_done(predict(runs, {"--images", kFashionFolder + "/train-images-idx3-ubyte", "--top", "10"}));
  const Rows top = table_in(runs.file("p.csv"));
  REQUIRE(top.size() == 33);
  const std::vector<std::string> names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                          "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  bool any_large = false;
  for (std::size_t i = 1; i < labels.size(); ++i) {
    std::istringstream sets(labels[i][1]), posterior(labels[i][4]);
    double sum = 0, inside = 0;
    std::string label, item;
    while (sets >> label) {
      posterior >> item;
      const std::size_t colon = item.find(':');
      CHECK(item.substr(0, colon) == label);
      sum += std::stod(item.substr(colon + 1));
      if (label == labels[i][2]) CHECK(item.substr(colon + 1) == labels[i][3]);
      for (std::size_t k = 2; k < 22; k += 2) {
        if (top[i][k] == names[std::stoul(label)]) inside += std::stod(top[i][k + 1]);
      }
    }
    CHECK(posterior.eof());
    CHECK(sum == doctest::Approx(1).epsilon(1e-5));
    CHECK(std::stod(labels[i][5]) == doctest::Approx(1 - inside).epsilon(1e-4));
    any_large = any_large || std::stod(labels[i][5]) > 0.05;
  }
  CHECK(any_large);
}

TEST_CASE("evaluate --review reads labels.csv with and without the columns behind the probability") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  require_done(runs.train("a"));
  const std::string run = runs.run_folder("a"), labels = runs.run_file("a", "labels.csv");
  require_done(run_process(engine({"evaluate", run, "--review"})));
  const Rows now = table_in(run + "/review.csv");
  std::string old;
  for (const std::vector<std::string>& row : table_in(labels))
    old += csv_line({row.begin(), row.begin() + 4});
  write_text(labels, old);
  require_done(run_process(engine({"evaluate", run, "--review"})));
  const Rows then = table_in(run + "/review.csv");
  REQUIRE(then.size() == now.size());
  for (std::size_t i = 0; i < now.size(); ++i) {
    CHECK(then[i] == std::vector<std::string>(now[i].begin(), now[i].begin() + 4));
    if (i > 1) CHECK(std::stod(now[i - 1][3]) <= std::stod(now[i][3]));
  }
  write_text(labels, "sample,candidates,label\n0,1,1\n");
  check_one_line(run_process(engine({"evaluate", run, "--review"})), 4, "these are not the labels of a run");
  write_text(labels, "sample,probability\n0,x\n");
  check_one_line(run_process(engine({"evaluate", run, "--review"})), 4,
                 "labels.csv:2: \"0,x\" is not a row of it");
}

TEST_CASE("candidates.weights: targets start from the file, and a resume with others is refused") {
  // The last 8 of 32 samples are in no batch and keep the targets of the start.
  const EngineRuns runs(
      {"run.epochs=1", "log.charts=false", "optimiser.batch=24", "optimiser.drop_last=true"});
  require_done(runs.train("plain"));
  Rows rows = table_in(runs.run_file("plain", "labels.csv"));
  std::string csv = "note,sample,weights\n";
  std::vector<std::string> wanted;
  std::vector<float> dense(32 * 10);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    std::istringstream set(rows[i][1]);
    std::vector<int> labels;
    for (int label = 0; set >> label;) labels.push_back(label);
    // Halves: 1/2, 1/4, ..., the last one twice.
    std::string weights;
    double left = 1;
    for (std::size_t k = 0; k < labels.size(); ++k) {
      const double weight = k + 1 < labels.size() ? left / 2 : left;
      left -= weight;
      weights += fmt::format("{}{}:{}", k > 0 ? " " : "", labels[k], weight);
      dense[(i - 1) * 10 + static_cast<std::size_t>(labels[k])] = static_cast<float>(weight);
    }
    wanted.push_back(weights);
    csv += csv_line({"a, b", rows[i][0], weights});
  }
  write_text(runs.file("soft.csv"), csv);
  SafetensorsWriter writer;
  writer.add("weights", DType::f32, {32, 10}, dense.data());
  writer.write(runs.file("soft.safetensors"));
  for (const std::string file : {"soft.csv", "soft.safetensors"}) {
    require_done(runs.train(file, {"candidates.weights=" + runs.file(file)}));
    rows = table_in(runs.run_file(file, "labels.csv"));
    REQUIRE(rows.size() == 33);
    int kept = 0;
    for (std::size_t i = 1; i < rows.size(); ++i) kept += rows[i][4] == wanted[i - 1];
    CHECK(kept >= 8);
  }
  // The labels of a finished run are such a file.
  require_done(runs.train("again", {"candidates.weights=" + runs.run_file("soft.csv", "labels.csv")}));

  // A part of the samples, one of which is held out, has the rows of its samples.
  const std::vector<std::string> part = {"candidates.weights=" + runs.file("soft.csv"),
                                         "data.train_limit=24",
                                         "data.validation_fraction=0.25",
                                         "data.selection_fraction=0.25",
                                         "candidates.mode=file",
                                         "candidates.file=" + runs.file("sets.csv"),
                                         "optimiser.batch=8"};
  require_done(run_process(engine({"candidates", runs.config(), "--out", runs.file("sets.csv")})));
  require_done(runs.train("part", part));
  rows = table_in(runs.run_file("part", "labels.csv"));
  int kept = 0;
  for (std::size_t i = 1; i < rows.size(); ++i) kept += rows[i][5] == wanted.at(std::stoul(rows[i][0]));
  CHECK(kept >= static_cast<int>(rows.size()) - 1 - 8);

  const std::vector<std::string> longer = {"run.epochs=2"};
  require_done(runs.resume("soft.csv", longer));
  const ProcessResult without = runs.resume("soft.csv", {"run.epochs=3", "candidates.weights="});
  check_one_line(without, 4, "belongs to another run: candidates.weights (SHA-256) is ");
  check_one_line(runs.resume("plain", {"run.epochs=2", "candidates.weights=" + runs.file("soft.csv")}), 4,
                 "candidates.weights (SHA-256) is none there");
}

TEST_CASE("candidates.weights in the wrong place or with a wrong file ends with one line") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  write_text(runs.file("w.csv"), "sample,weights\n0,9:0.5\n");
  const std::string setting = "candidates.weights=" + runs.file("w.csv");
  check_one_line(runs.train("a", {setting}), 4, "w.csv: sample 0: the weights sum to 0.5, expected 1");
  check_one_line(runs.train("a", {setting, "objective.method=cross_entropy"}), 3,
                 "weights are where targets start; method cross_entropy learns the true labels");
  check_one_line(runs.train("a", {"candidates.weights=" + runs.file("none.csv")}), 4, "none.csv");
}

TEST_CASE("data.imbalance: a long-tailed training set, and what it needs") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  const ProcessResult done = runs.train("a", {"data.imbalance=3"});
  require_done(done);
  CHECK(has(done.out, "fashion_mnist: 15 training, 0 validation, 16 test images"));
  CHECK(has(done.out, "  few "));
  const Rows metrics = table_in(runs.run_file("a", "metrics.csv"));
  const auto cell = [&](const std::string& name) {
    const auto column = std::find(metrics.at(0).begin(), metrics.at(0).end(), name) - metrics[0].begin();
    return metrics.at(1).at(static_cast<std::size_t>(column));
  };
  CHECK(cell("test_few_accuracy") == cell("test_balanced_accuracy"));
  CHECK(cell("test_many_accuracy").empty());
  CHECK(std::stod(cell("test_top5_accuracy")) >= std::stod(cell("test_accuracy")));
  CHECK(std::stod(cell("test_calibration_error")) > 0);
  CHECK(std::stod(cell("prior_distance")) > 0);
  const nlohmann::json summary = nlohmann::json::parse(read_text(runs.run_file("a", "summary.json")));
  CHECK(summary.at("class_priors").at("estimated").size() == 10);
  CHECK(summary.at("class_priors").at("distance").get<double>() == std::stod(cell("prior_distance")));
  CHECK(summary.at("last_epoch").at("test_many_accuracy").is_null());
  check_one_line(runs.resume("a", {"run.epochs=2", "data.imbalance=1"}), 4, "belongs to another run: ");
  check_one_line(runs.train("b", {"data.imbalance=0.5"}), 3, "data.imbalance");
  const ProcessResult few = runs.train("c", {"data.imbalance=1.001"});
  require_done(few);
  CHECK(has(few.out, "some classes have fewer samples than their part, so that 19 of 21 are taken"));
}
