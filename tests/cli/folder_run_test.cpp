// Runs on a user's own files: a folder of images, feature vectors, .mat files with a split or several true
// labels; and models that PyTorch saved.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/engine_runs.h"
#include "dpll/safetensors.h"
#include "io/csv.h"
#include "support/image_folder.h"
#include "support/mat_writer.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// Settings of a run on the folder of images `path`.
std::vector<std::string> on_folder(const EngineRuns& runs, const std::string& path) {
  return {"data.dataset=folder",    "data.path=" + path, "data.size=8",   "data.cache=" + runs.file("cache"),
          "model.architecture=mlp", "model.hidden=8",    "views.cutout=2"};
}

std::vector<std::string> with(std::vector<std::string> settings, const std::vector<std::string>& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

// The run's model as PyTorch would save it: the tensors, no metadata.
void strip_metadata(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::read(path);
  SafetensorsWriter writer;
  for (const auto& [name, entry] : file.entries()) {
    writer.add(name, entry.dtype, entry.shape, file.data(name));
  }
  writer.write(path);
}

}  // namespace

TEST_CASE("a folder of images: it trains, is evaluated, ordered for review, and predicts") {
  const EngineRuns runs;
  const std::string folder = runs.file("set");
  write_class_folders(folder, 10, 3);
  write_picture(folder + "/train/dog/wide.png", 222, 10, 31);
  const ProcessResult trained = runs.train("a", on_folder(runs, folder));
  require_done(trained);
  CHECK(has(trained.out, "27 images read in "));
  CHECK(has(trained.out, "folder: 21 training, 0 validation, 6 test images of 8x8x3, 2 classes"));
  const std::vector<std::string> labels = lines_of(read_text(runs.run_file("a", "labels.csv")));
  REQUIRE(labels.size() == 22);
  CHECK(labels[0] == "sample,file,candidates,label,name,probability,posterior,miss");
  CHECK(labels[1].starts_with("0,train/cat/0.png,"));
  CHECK(labels[21].starts_with("20,train/dog/wide.png,"));

  // The second run has the images from the cache, and the same results.
  const ProcessResult second = runs.train("b", on_folder(runs, folder));
  require_done(second);
  CHECK(has(second.out, "27 images from "));
  CHECK(read_text(runs.run_file("b", "labels.csv")) == read_text(runs.run_file("a", "labels.csv")));

  const std::string run = runs.run_folder("a");
  const ProcessResult evaluated = run_process(engine({"evaluate", run}));
  require_done(evaluated);
  CHECK(has(evaluated.out, "on 6 test images"));
  const ProcessResult reviewed = run_process(engine({"evaluate", run, "--review"}));
  require_done(reviewed);
  CHECK(has(reviewed.out, "21 samples, the least certain first, written to " + run + "/review.csv"));
  std::vector<std::string> review = lines_of(read_text(run + "/review.csv"));
  REQUIRE(review.size() == 22);
  CHECK(review[0] == labels[0]);
  const auto probability = [](const std::string& line) { return std::stod(csv_fields(line).value().at(5)); };
  for (std::size_t i = 2; i < review.size(); ++i) CHECK(probability(review[i - 1]) <= probability(review[i]));
  std::vector<std::string> sorted = labels;
  std::sort(sorted.begin(), sorted.end());
  std::sort(review.begin(), review.end());
  CHECK(review == sorted);

  const std::string out = runs.file("p.csv");
  require_done(run_process(
      engine({"predict", run, "--images", folder + "/test", folder + "/train/dog/wide.png", "--out", out})));
  const std::vector<std::string> rows = lines_of(read_text(out));
  REQUIRE(rows.size() == 8);
  CHECK(rows[1].starts_with(folder + "/test/cat/0.png,0,"));
  CHECK(rows[7].starts_with(folder + "/train/dog/wide.png,0,"));
  const ProcessResult none =
      run_process(engine({"predict", run, "--images", runs.file("cache"), "--out", out}));
  CHECK(none.exit_code == 4);
  CHECK(has(none.err, "no .png, .jpg or .jpeg file in this folder"));

  const ProcessResult verified = run_process(engine({"data", "verify", run + "/config.ini"}));
  require_done(verified);
  CHECK(has(verified.out, "21 training and 6 test images"));
}

TEST_CASE("a folder with labels.csv: candidate sets of its own, some samples without truth or set") {
  const EngineRuns runs;
  const std::string folder = runs.file("set");
  std::string table = "file,label,candidates\n";
  for (int i = 0; i < 12; ++i) {
    write_picture(folder + "/images/" + std::to_string(i) + ".png", 20 * i);
    const std::string label = i < 6 ? "dark" : "bright";
    table += fmt::format("{}.png,{},{}\n", i, i % 3 == 0 ? "" : label, i % 4 == 1 ? "" : label + "|middle");
  }
  write_text(folder + "/labels.csv", table);
  const ProcessResult trained = runs.train(
      "a", with(on_folder(runs, folder), {"candidates.mode=dataset", "data.validation_fraction=0.25"}));
  require_done(trained);
  CHECK(has(trained.out, "9 training, 3 validation, 0 test images"));
  const std::vector<std::string> labels = lines_of(read_text(runs.run_file("a", "labels.csv")));
  REQUIRE(labels.size() == 10);
  CHECK(labels[0] == "sample,position,file,candidates,label,name,probability,posterior,miss");
  bool has_full = false;
  for (const std::string& line : labels) has_full = has_full || has(line, ".png,0 1 2,");
  CHECK(has_full);

  const ProcessResult drawn = runs.train("b", on_folder(runs, folder));
  CHECK(drawn.exit_code == 3);
  CHECK(has(drawn.err, "the data bring sets of their own, which candidates.mode = dataset takes"));
  write_text(folder + "/labels.csv", "file,label\n0.png,a\n1.png,b\n2.png,a\n3.png,b\n");
  const ProcessResult without = runs.train("c", with(on_folder(runs, folder), {"candidates.mode=dataset"}));
  CHECK(without.exit_code == 3);
  CHECK(has(without.err, "the data set 'folder' brings no candidates"));
  CHECK(runs.train("d", on_folder(runs, runs.file("nowhere"))).exit_code == 4);
}

TEST_CASE("feature vectors from a safetensors file train an MLP") {
  const EngineRuns runs;
  std::vector<float> features;
  std::vector<std::int64_t> labels;
  for (int i = 0; i < 24; ++i) {
    labels.push_back(i % 2);
    for (int d = 0; d < 5; ++d)
      features.push_back(static_cast<float>(1000 + 50 * (i % 2) + (i * 7 + d * 3) % 11));
  }
  SafetensorsWriter writer;
  writer.add("features", DType::f32, {24, 5}, features.data());
  writer.add("labels", DType::i64, {24}, labels.data());
  writer.add("test_features", DType::f32, {8, 5}, features.data());
  writer.add("test_labels", DType::i64, {8}, labels.data());
  const std::string path = runs.file("features.safetensors");
  writer.write(path);
  const std::vector<std::string> settings = {"data.dataset=safetensors", "data.path=" + path, "run.epochs=8",
                                             "candidates.min_distractors=0"};
  const ProcessResult trained =
      runs.train("a", with(settings, {"model.architecture=mlp", "model.hidden=8", "views.strong_noise=0.1"}));
  require_done(trained);
  CHECK(has(trained.out, "24 training, 0 validation, 8 test samples of 5 features, 2 classes"));
  const ProcessResult evaluated = run_process(engine({"evaluate", runs.run_folder("a")}));
  require_done(evaluated);
  CHECK(has(evaluated.out, "accuracy 100.00%"));
  const ProcessResult predicted =
      run_process(engine({"predict", runs.run_folder("a"), "--images", path, "--out", runs.file("p.csv")}));
  CHECK(predicted.exit_code == 3);
  CHECK(has(predicted.err, "was trained on feature vectors"));

  const ProcessResult lenet = runs.train("b", settings);
  CHECK(lenet.exit_code == 3);
  CHECK(has(lenet.err, "holds feature vectors; expected architecture = mlp"));
  const ProcessResult padded = runs.train("c", with(settings, {"model.architecture=mlp", "views.pad=2"}));
  CHECK(padded.exit_code == 3);
  CHECK(has(padded.err, "are for images"));
}

TEST_CASE("a .mat file with a split of its own, and one with several true labels") {
  const EngineRuns runs({"data.dataset=tabular", "candidates.mode=dataset", "model.architecture=mlp",
                         "model.hidden=8", "data.folds=10"});
  const std::string folder = std::string(DPLL_TEST_FIXTURES) + "/tabular/";
  const ProcessResult split = runs.train("split", {"data.path=" + folder + "split.mat"});
  require_done(split);
  CHECK(has(split.out, "16 training, 0 validation, 8 test samples of 4 features, 3 classes"));

  // Every sample has two of three labels, and the network finds the third nowhere: all predictions are right.
  const std::string several = runs.file("several.mat");
  {
    std::vector<double> data, target;
    for (int i = 0; i < 40; ++i) data.push_back(i % 7);
    for (int i = 0; i < 40; ++i) target.insert(target.end(), {1, 1, 0});
    MatWriter writer(several);
    writer.add("data", {40, 1}, data).add("target", {3, 40}, target).add("partial_target", {3, 40}, target);
  }
  const ProcessResult trained = runs.train("several", {"data.path=" + several, "run.epochs=30"});
  require_done(trained);
  CHECK(has(trained.out, "36 of 36 training samples have several true labels"));
  CHECK(has(trained.out, "test accuracy 100.00%  last epoch"));
  const ProcessResult evaluated = run_process(engine({"evaluate", runs.run_folder("several")}));
  require_done(evaluated);
  CHECK(has(evaluated.out, "on 4 test images: accuracy 100.00%"));
  const ProcessResult supervised =
      runs.train("supervised", {"data.path=" + several, "objective.method=cross_entropy"});
  CHECK(supervised.exit_code == 3);
}

TEST_CASE("evaluate and predict take a state dict that PyTorch saved, and SVHN's .mat files") {
  const EngineRuns runs;
  require_done(runs.train("a"));
  const std::string run = runs.run_folder("a"), out = runs.file("p.csv"),
                    images = kFashionFolder + "/t10k-images-idx3-ubyte";
  const std::vector<std::string> predict = {"predict", run, "--images", images, "--out", out};
  require_done(run_process(engine(predict)));
  const std::string before = read_text(out);
  strip_metadata(run + "/model.safetensors");
  require_done(run_process(engine(predict)));
  CHECK(read_text(out) == before);
  require_done(run_process(engine({"evaluate", run})));

  // A user's own data say the sizes themselves.
  const std::string folder = runs.file("set");
  write_class_folders(folder, 6, 1);
  require_done(runs.train("own", on_folder(runs, folder)));
  strip_metadata(runs.run_file("own", "model.safetensors"));
  require_done(run_process(
      engine({"predict", runs.run_folder("own"), "--images", folder + "/test/cat", "--out", out})));
  CHECK(has(read_text(out), ",cat,") + has(read_text(out), ",dog,") == 1);

  const std::string svhn = runs.file("test_32x32.mat");
  MatWriter(svhn)
      .add("X", {32, 32, 3}, std::vector<std::uint8_t>(3072, 9))
      .add("y", {1, 1}, std::vector<std::uint8_t>{10});
  const std::vector<std::string> size = {"data.size=32"};
  require_done(runs.train("large", with(on_folder(runs, folder), size)));
  require_done(run_process(engine({"predict", runs.run_folder("large"), "--images", svhn, "--out", out})));
  CHECK(lines_of(read_text(out)).size() == 2);
}

TEST_CASE("data list: every data set with what it is and where it belongs") {
  const ProcessResult list = run_process(engine({"data", "list"}));
  require_done(list);
  CHECK(has(list.out,
            "cifar10        CIFAR-10 (binary version); 10 classes, in data/cifar-10-batches-bin, published "
            "at https://www.cs.toronto.edu/~kriz/cifar.html"));
  CHECK(has(list.out, "folder         your own images; data.path: folder of the images"));
}

TEST_CASE("missing data: the message says how to get them, and that CIFAR's python version is read") {
  const EngineRuns runs;
  const ProcessResult missing = runs.train("a", {"data.dataset=cifar10", "data.path=" + runs.file("none")});
  CHECK(missing.exit_code == 4);
  CHECK(has(missing.err, "tools/fetch_data cifar10 --to " + runs.file("none") + " downloads it"));
  CHECK(has(missing.err,
            "the python version, cifar-10-python.tar.gz or the folder cifar-10-batches-py, is read"));
  CHECK(lines_of(missing.err).size() == 1);
}
