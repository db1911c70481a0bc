// The annotator on the committed piece of Fashion-MNIST: it learns, repeats itself, and minds its cache.
#include "train/annotator.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "support/doctest.h"
#include "support/temp_dir.h"
#include "train/make_candidates.h"
#include "train/signals.h"

using namespace dpll;
using dpll::test::TempDir;

namespace {

RunConfig small_config(const std::string& cache) {
  RunConfig config;
  config.run.threads = 1;
  config.run.device = DeviceChoice::cpu;
  config.data.dataset = "fashion_mnist";
  config.data.path = std::string(DPLL_TEST_FIXTURES) + "/fashion-mnist/plain";
  config.data.verify = false;
  config.candidates.mode = CandidateMode::instance;
  config.annotator.epochs = 2;
  config.annotator.batch = 8;
  config.annotator.bn_batch = 20;  // 32 samples: one full batch, one of 12
  config.annotator.cache = cache;
  return config;
}

struct Annotated {
  std::vector<float> logits;
  std::string said;
};

Annotated annotate(const RunConfig& config, const DataSet& data) {
  Annotated result;
  result.logits =
      annotator_logits(config, data, [&](const std::string& line) { result.said += line + "\n"; });
  return result;
}

bool said(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string only_file_in(const std::string& folder) {
  std::string path;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    CHECK(path.empty());
    path = entry.path().string();
  }
  return path;
}

}  // namespace

TEST_CASE("the annotator learns the true labels by cross entropy") {
  RunConfig config = small_config("");
  config.annotator.epochs = 25;
  config.annotator.lr = 0.02;
  config.annotator.train_mode_bn = false;
  config.views.weak_policy = ViewPolicy::none;
  const DataSet data = load_data(config);
  const Annotated result = annotate(config, data);
  REQUIRE(result.logits.size() == 320);
  int right = 0;
  double cross_entropy = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    const auto row = result.logits.begin() + static_cast<std::ptrdiff_t>(i * 10);
    const auto truth = data.train.labels[i];
    right += std::max_element(row, row + 10) - row == truth ? 1 : 0;
    double sum = 0;
    for (int c = 0; c < 10; ++c) sum += std::exp(static_cast<double>(row[c]) - row[truth]);
    cross_entropy += std::log(sum) / 32;
  }
  CHECK(right == 32);
  CHECK(cross_entropy < 0.2);
  CHECK(said(result.said, "annotator: training LeNet on the true labels of 32 samples"));
  CHECK(said(result.said, "annotator: epoch 25/25  cross entropy 0."));
}

TEST_CASE("the annotator says the same again, trained or from its cache, and other settings say else") {
  const TempDir dir;
  RunConfig config = small_config("");
  const DataSet data = load_data(config);
  const std::vector<float> trained = annotate(config, data).logits;
  config.annotator.cache = dir.file("a/cache");
  const Annotated first = annotate(config, data), second = annotate(config, data);
  CHECK(first.logits == trained);
  CHECK(second.logits == trained);
  CHECK(said(first.said, "epoch 2/2"));
  CHECK(!said(second.said, "epoch 2/2"));
  CHECK(said(second.said, "is read from " + only_file_in(dir.file("a/cache"))));
  for (const auto change :
       {+[](RunConfig& c) { c.annotator.seed = 2; }, +[](RunConfig& c) { c.annotator.train_mode_bn = false; },
        +[](RunConfig& c) { c.annotator.bn_batch = 32; }, +[](RunConfig& c) { c.annotator.lr = 0.01; }}) {
    RunConfig other = config;
    change(other);
    CHECK(annotate(other, data).logits != trained);
  }
  // Only how sets are drawn from it: the output is the same.
  config.annotator.scale = 1;
  config.candidates.seed = 99;
  CHECK(said(annotate(config, data).said, "is read from"));
}

TEST_CASE(
    "an annotator stopped after its last epoch goes on after that epoch, not with one it does not have") {
  const TempDir dir;
  const RunConfig config = small_config(dir.file("cache"));
  const DataSet data = load_data(config);
  {
    const StopSignals signals;
    const StopSignals::InOrder in_order;
    const auto stop_at_the_end = [](const std::string& line) {
      if (said(line, "epoch 2/2")) CHECK(std::raise(SIGTERM) == 0);
    };
    CHECK_THROWS_AS(annotator_logits(config, data, stop_at_the_end), Stopped);
  }
  const Annotated resumed = annotate(config, data);
  CHECK_MESSAGE(said(resumed.said, "annotator: going on after epoch 2 of 2\n"), resumed.said);
  CHECK(resumed.logits == annotate(small_config(""), data).logits);
}

TEST_CASE(
    "an annotator's cache that is damaged or of other data is left out, with a line, and written anew") {
  const TempDir dir;
  const RunConfig config = small_config(dir.file("cache"));
  const DataSet data = load_data(config);
  const std::vector<float> good = annotate(config, data).logits;
  const std::string path = only_file_in(dir.file("cache"));
  const std::vector<std::uint8_t> bytes = read_file(path);

  std::vector<std::uint8_t> flipped = bytes;
  REQUIRE(flipped.size() > 1000);
  flipped.at(flipped.size() - 1) ^= 1;
  const std::vector<std::uint8_t> half(bytes.begin(),
                                       bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 2));
  for (const auto& [damaged, why] : {std::pair{flipped, "SHA-256"}, std::pair{half, path.c_str()}}) {
    write_file_atomically(path, damaged.data(), damaged.size());
    const Annotated again = annotate(config, data);
    CHECK(again.logits == good);
    CHECK(said(again.said, "warning: " + path + " is not used and written anew: "));
    CHECK(said(again.said, why));
    CHECK(read_file(path) == bytes);
  }

  DataSet other = data;
  other.train.pixels[5] ^= 255;
  const std::string folder = dir.file("other");
  RunConfig elsewhere = config;
  elsewhere.annotator.cache = folder;
  annotate(elsewhere, other);
  std::filesystem::copy_file(path, only_file_in(folder), std::filesystem::copy_options::overwrite_existing);
  CHECK(said(annotate(elsewhere, other).said, "it is that of another data set"));
}

TEST_CASE("instance-dependent sets hold the truth, repeat, and follow scale and seed") {
  const TempDir dir;
  RunConfig config = small_config(dir.file("cache"));
  const DataSet data = load_data(config);
  const auto sets = [&](const RunConfig& c) { return make_candidates(c, data, [](const std::string&) {}); };
  const CandidateSets first = sets(config);
  CHECK(count_missing_truth(first, data.train.labels) == 0);
  CHECK(first.mean_size() > 1);
  CHECK(sets(config).words == first.words);
  config.candidates.seed = 3;
  CHECK(sets(config).words != first.words);
  config.annotator.scale = 1000;  // every wrong label has chance 1 unless it is nearly impossible
  CHECK(sets(config).mean_size() > first.mean_size());
}
