// Long-tailed training sets: sizes of the classes, and which samples are left.
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "data/split.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/safetensors.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

using namespace dpll;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::TempDir;

namespace {

constexpr int kTailClasses = 3, kTailEach = 40;

// 120 vectors of one feature, their index; label i % 3, sets {label, label + 1}.
RunConfig write_even_classes(const TempDir& dir, bool with_labels = true) {
  std::vector<float> features(kTailClasses * kTailEach);
  std::iota(features.begin(), features.end(), 0.0F);
  std::vector<std::int64_t> labels;
  std::vector<std::uint8_t> sets;
  for (int i = 0; i < kTailClasses * kTailEach; ++i) {
    labels.push_back(i % kTailClasses);
    for (int c = 0; c < kTailClasses; ++c)
      sets.push_back(c == i % kTailClasses || c == (i + 1) % kTailClasses);
  }
  const std::int64_t count = kTailClasses * kTailEach;
  SafetensorsWriter writer;
  writer.add("features", DType::f32, {count, 1}, features.data());
  if (with_labels) writer.add("labels", DType::i64, {count}, labels.data());
  writer.add("candidates", DType::u8, {count, kTailClasses}, sets.data());
  writer.write(dir.file("a.safetensors"));
  RunConfig config;
  config.data.dataset = "safetensors";
  config.data.path = dir.file("a.safetensors");
  config.model.architecture = Architecture::mlp;
  return config;
}

std::vector<std::int64_t> sizes_of_classes(const ImageSet& set) {
  std::vector<std::int64_t> sizes(kTailClasses);
  for (const std::int32_t label : set.labels) ++sizes[static_cast<std::size_t>(label)];
  return sizes;
}

}  // namespace

TEST_CASE("long tail: the sizes are those of the published code") {
  CHECK(long_tail_counts(50'000, 10, 100) ==
        std::vector<std::int64_t>{5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50});
  const std::vector<std::int64_t> hundred = long_tail_counts(50'000, 100, 100);
  CHECK(hundred.front() == 500);
  CHECK(hundred.back() == 5);
  CHECK(std::accumulate(hundred.begin(), hundred.end(), std::int64_t{0}) == 10'847);
  CHECK(long_tail_counts(100, 4, 1) == std::vector<std::int64_t>(4, 25));
  CHECK(long_tail_counts(20, 4, 1e6).back() == 1);  // no class is lost
}

TEST_CASE("long tail: the samples of a class are drawn by the seed, and sets and origins go with them") {
  const TempDir dir;
  RunConfig config = write_even_classes(dir);
  config.data.imbalance = 10;
  const DataSet data = load_data(config);
  CHECK(sizes_of_classes(data.train) == std::vector<std::int64_t>{40, 12, 4});
  REQUIRE(data.train_origin.size() == 56);
  CHECK(std::is_sorted(data.train_origin.begin(), data.train_origin.end()));
  for (std::size_t i = 0; i < data.train_origin.size(); ++i) {
    const std::int64_t origin = data.train_origin[i];
    CHECK(data.train.labels[i] == origin % kTailClasses);
    for (int c = 0; c < kTailClasses; ++c) {
      CHECK(data.candidates->at(i * kTailClasses + static_cast<std::size_t>(c)) ==
            (c == origin % kTailClasses || c == (origin + 1) % kTailClasses));
    }
  }
  CHECK(data.source_count == kTailClasses * kTailEach);
  CHECK(data.warnings.empty());
  CHECK(load_data(config).train_origin == data.train_origin);
  // A configuration draws the same samples for ever: those of the smallest class.
  std::vector<std::int64_t> smallest;
  for (const std::int64_t origin : data.train_origin) {
    if (origin % kTailClasses == 2) smallest.push_back(origin);
  }
  CHECK(fmt::format("{}", fmt::join(smallest, " ")) == "17 77 86 113");
  config.run.seed = 2;
  CHECK(load_data(config).train_origin != data.train_origin);

  // The validation part stays balanced as the data are.
  config.data.validation_fraction = 0.5;
  const DataSet halves = load_data(config);
  CHECK(halves.validation.count == 60);
  CHECK(halves.train.count < 30);
}

TEST_CASE("long tail: classes with too few samples are said, labels must be known") {
  const std::vector<std::int32_t> labels = {0, 0, 0, 1, 0, 0};
  CHECK(draw_long_tail(labels, {3, 2}, 1).size() == 4);
  const TempDir dir;
  RunConfig config = write_even_classes(dir, false);
  config.data.imbalance = 10;
  const Error error = error_of([&] { load_data(config); });
  CHECK(error.code() == ExitCode::config);
  CHECK(contains(error, "data.imbalance = 10 needs the one true label of every training sample"));
}
