// What a user meets: training, its files, and the commands that use them.

#include <nlohmann/json.hpp>

#include "cli/engine_runs.h"
#include "data/image_file.h"
#include "dpll/chart.h"
#include "dpll/safetensors.h"

using dpll::read_file;
using namespace dpll::test;

namespace {

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, ',');) cells.push_back(cell);
  return cells;
}

void check_is_png(const std::string& path) {
  CAPTURE(path);
  CHECK(dpll::decode_image(read_file(path), path, 3).width > 100);
}

}  // namespace

TEST_CASE("a run leaves every file of the README's table, and they are what it says") {
  const EngineRuns runs({"log.steps=1", "optimiser.ema=0.9"});
  const ProcessResult result = runs.train("a");
  require_done(result);
  CHECK(std::count(result.out.begin(), result.out.end(), '\r') == 0);
  const std::vector<std::string> console = lines_of(result.out);
  CHECK(std::count_if(console.begin(), console.end(),
                      [](const std::string& line) { return line.starts_with("epoch "); }) == 2);

  for (const char* name : {"config.ini", "train.log", "checkpoint.safetensors", "model_ema.safetensors",
                           "checkpoint.previous.safetensors", "summary.json"}) {
    CAPTURE(name);
    CHECK(std::filesystem::file_size(runs.run_file("a", name)) > 0);
  }
  CHECK_FALSE(std::filesystem::exists(runs.run_file("a", ".lock")));
  const std::vector<std::string> metrics = lines_of(read_text(runs.run_file("a", "metrics.csv")));
  REQUIRE(metrics.size() == 3);
  CHECK(metrics[0].starts_with("epoch,steps,lr,lambda,train_loss,supervised_loss,consistency_loss,"));
  CHECK(metrics[2].starts_with("2,8,0.05,0.02,"));  // 4 steps an epoch; lambda = 2 / 100
  const std::vector<std::string> jsonl = lines_of(read_text(runs.run_file("a", "metrics.jsonl")));
  REQUIRE(jsonl.size() == 2);
  CHECK(nlohmann::json::parse(jsonl[1]).at("steps") == 8);
  const auto summary = nlohmann::json::parse(read_text(runs.run_file("a", "summary.json")));
  CHECK(summary.at("last_epoch").at("epoch").dump() == "2");
  CHECK(summary.at("last_epoch").at("steps").dump() == "8");
  CHECK(lines_of(read_text(runs.run_file("a", "steps.csv"))).size() == 9);
  CHECK(lines_of(read_text(runs.run_file("a", "labels.csv"))).size() == 33);
  for (const char* name : {"loss.png", "accuracy.png", "schedule.png"}) {
    check_is_png(runs.run_file("a", name));
  }
  const auto model = dpll::SafetensorsFile::read(runs.run_file("a", "model.safetensors"));
  const std::map<std::string, std::vector<std::int64_t>> shapes = {{"conv.0.weight", {20, 1, 5, 5}},
                                                                   {"conv.0.bias", {20}},
                                                                   {"conv.1.weight", {20}},
                                                                   {"conv.1.running_mean", {20}},
                                                                   {"conv.4.weight", {50, 20, 5, 5}},
                                                                   {"conv.5.running_var", {50}},
                                                                   {"linear.0.weight", {500, 50 * 49}},
                                                                   {"linear.1.bias", {500}}};
  for (const auto& entry : shapes) {
    const std::string name = entry.first;
    const auto& shape = entry.second;
    CAPTURE(name);
    CHECK(model.entry(name).shape == shape);
  }
  CHECK(model.entry("conv.1.num_batches_tracked").dtype == dpll::DType::i64);
  CHECK(model.get<std::int64_t>("conv.1.num_batches_tracked") == std::vector<std::int64_t>{8 * 3});

  const ProcessResult again = run_process(runs.resume_command("a"));
  require_done(again);
  CHECK(has(again.out, "is complete"));
  require_done(run_process(engine({runs.run_file("a", "config.ini"), "--set", "run.name=b"})));
  CHECK(read_file(runs.run_file("a", "model.safetensors")) ==
        read_file(runs.run_file("b", "model.safetensors")));
  require_done(run_process(
      engine({"plot", runs.run_folder("a"), runs.run_folder("b"), "--out", runs.file("both.png")})));
  check_is_png(runs.file("both.png"));
}

TEST_CASE("eight images with their labels alone are learnt by heart") {
  const EngineRuns runs({"data.train_limit=8", "candidates.rate=0", "candidates.min_distractors=0",
                         "views.weak_policy=none", "views.strong_policy=none", "run.epochs=60",
                         "evaluation.every=60", "checkpoint.every=60", "log.charts=false"});
  require_done(runs.train("a"));
  const auto summary = nlohmann::json::parse(read_text(runs.run_file("a", "summary.json")));
  CHECK(summary.at("last_epoch").at("train_loss") < 0.05);
  CHECK(summary.at("last_epoch").at("train_accuracy") == 1);
}

TEST_CASE("evaluate agrees with the run's summary, and predict on a PNG with predict on the IDX file") {
  const EngineRuns runs({"log.charts=false"});
  require_done(runs.train("a"));
  const auto summary = nlohmann::json::parse(read_text(runs.run_file("a", "summary.json")));
  const double accuracy = summary.at("last_epoch").at("test_accuracy");
  const ProcessResult evaluated = run_process(engine({"evaluate", runs.run_folder("a")}));
  require_done(evaluated);
  CHECK(has(evaluated.out, fmt::format("accuracy {:.2f}%", 100 * accuracy)));
  CHECK(has(evaluated.out, "recall"));

  const std::string idx = kFashionFolder + "/t10k-images-idx3-ubyte";
  const std::vector<std::uint8_t> bytes = read_file(idx);
  const std::string png = runs.file("first.png");
  dpll::write_png(png, 28, 28, 1, bytes.data() + 16);  // IDX: 16 bytes of header, then the first image
  require_done(run_process(engine(
      {"predict", runs.run_folder("a"), "--images", png, idx, "--out", runs.file("predictions.csv")})));
  const std::vector<std::string> rows = lines_of(read_text(runs.file("predictions.csv")));
  REQUIRE(rows.size() == 1 + 1 + 16);
  CHECK(rows[0] == "file,index,label,name,probability");
  const auto from_png = cells_of(rows[1]), from_idx = cells_of(rows[2]);
  REQUIRE(from_png.size() == 5);
  REQUIRE(from_idx.size() == 5);
  CHECK(from_png[0] == png);
  CHECK(from_png[2] == from_idx[2]);
  CHECK(std::stod(from_png[4]) == doctest::Approx(std::stod(from_idx[4])).epsilon(1e-5));
}

TEST_CASE("exported candidates read back give the model that drawing them gave") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  require_done(runs.train("drawn"));
  require_done(run_process(engine({"candidates", runs.config(), "--out", runs.file("sets.csv")})));
  require_done(runs.train("read", {"candidates.mode=file", "candidates.file=" + runs.file("sets.csv")}));
  CHECK(read_file(runs.run_file("drawn", "model.safetensors")) ==
        read_file(runs.run_file("read", "model.safetensors")));
}

TEST_CASE("arrays of one's own with their own candidates train without labels") {
  const EngineRuns runs({"run.epochs=1", "log.charts=false"});
  const std::vector<std::uint8_t> bytes = read_file(kFashionFolder + "/train-images-idx3-ubyte");
  std::vector<std::uint8_t> candidates(32 * 4, 0);
  for (std::size_t i = 0; i < 32; ++i) candidates[4 * i + i % 4] = candidates[4 * i + (i + 1) % 4] = 1;
  dpll::SafetensorsWriter writer;
  writer.add("images", dpll::DType::u8, {32, 28, 28, 1}, bytes.data() + 16);
  writer.add("candidates", dpll::DType::u8, {32, 4}, candidates.data());
  writer.write(runs.file("mine.safetensors"));
  require_done(runs.train("a", {"data.dataset=safetensors", "data.path=" + runs.file("mine.safetensors"),
                                "candidates.mode=dataset"}));
  const std::vector<std::string> labels = lines_of(read_text(runs.run_file("a", "labels.csv")));
  REQUIRE(labels.size() == 33);
  CHECK(labels[1].starts_with("0,0 1,"));
}
