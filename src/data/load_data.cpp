#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/catalogue.h"
#include "data/split.h"
#include "data/tabular.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/files.h"

namespace dpll {

namespace {

void keep_first(ImageSet& set, std::int64_t limit, const char* key) {
  if (limit > set.count) {
    fail(ExitCode::config, "data.{} = {}, but the data set has {} samples there", key, limit, set.count);
  }
  if (limit == 0) return;
  if (!set.truths.empty())
    set.truths.resize(set.truths.size() / static_cast<std::size_t>(set.count) *
                      static_cast<std::size_t>(limit));
  set.count = limit;
  const auto keep = [&](auto& values) {
    if (values.empty()) return;
    values.resize(static_cast<std::size_t>(limit * set.image_bytes()));
    values.shrink_to_fit();
  };
  keep(set.pixels);
  keep(set.features);
  if (set.has_labels()) set.labels.resize(static_cast<std::size_t>(limit));
}

void hold_out_validation(DataSet& data, double fraction, std::uint64_t seed) {
  const std::int64_t count = data.train.count;
  const std::int64_t held_out = std::llround(fraction * static_cast<double>(count));
  if (count < 2) {
    fail(ExitCode::config, "data.validation_fraction = {}: {} training sample cannot be split", fraction,
         count);
  }
  if (held_out < 1 || held_out >= count) {
    fail(ExitCode::config, "data.validation_fraction = {} of {} training samples gives {}, expected 1 to {}",
         fraction, count, held_out, count - 1);
  }
  if (!data.train.has_labels()) {
    fail(ExitCode::config,
         "data.validation_fraction = {}: the training samples have no labels to validate with", fraction);
  }
  const Split split = draw_split(count, held_out, seed, SplitPart::validation);
  data.validation = select(data.train, split.chosen);
  data.train = select(data.train, split.rest);
  data.train_origin = select_rows(data.train_origin, 1, split.rest);
  if (data.candidates) data.candidates = select_rows(*data.candidates, data.classes, split.rest);
}

void make_long_tailed(DataSet& data, double ratio, std::uint64_t seed) {
  const std::vector<std::int32_t>& labels = data.train.labels;
  if (!data.train.has_labels() || std::any_of(labels.begin(), labels.end(), [](int l) { return l < 0; })) {
    fail(ExitCode::config, "data.imbalance = {} needs the one true label of every training sample", ratio);
  }
  const std::vector<std::int64_t> sizes = long_tail_counts(data.train.count, data.classes, ratio);
  const std::vector<std::int64_t> chosen = draw_long_tail(labels, sizes, seed);
  std::int64_t wanted = 0;
  for (const std::int64_t size : sizes) wanted += size;
  if (const auto found = static_cast<std::int64_t>(chosen.size()); found < wanted) {
    data.warnings.push_back(fmt::format(
        "data.imbalance = {}: some classes have fewer samples than their part, so that {} of {} are "
        "taken",
        ratio, found, wanted));
  }
  data.train = select(data.train, chosen);
  data.train_origin = select_rows(data.train_origin, 1, chosen);
  if (data.candidates) data.candidates = select_rows(*data.candidates, data.classes, chosen);
}

}  // namespace

DataSet load_data(const RunConfig& config, const LoadReport& report) {
  const DatasetRow& row = dataset_row(config.data.dataset);
  if (config.data.coarse_labels && row.coarse_names.empty()) {
    fail(ExitCode::config, "data.coarse_labels = true: only CIFAR-100 has coarse labels");
  }
  if (config.data.svhn_extra && row.more_train.name.empty()) {
    fail(ExitCode::config, "data.svhn_extra = true: only SVHN has such a file");
  }
  if (row.is_own() && config.data.path.empty()) {
    fail(ExitCode::config, "data.path: dataset = {} needs the {}", row.name, row.path_is);
  }
  DataSet data = row.read(row, config, report);
  data.kind = config.data.dataset;
  data.classes = static_cast<int>(data.class_names.size());
  DPLL_CHECK(data.files.empty() || data.files.size() == static_cast<std::size_t>(data.train.count),
             "{} files of {} samples", data.files.size(), data.train.count);
  const ImageSet& train = data.train;
  const ImageSet& test = data.test;
  if (test.count != 0 &&
      (test.height != train.height || test.width != train.width || test.channels != train.channels)) {
    fail(ExitCode::data, "{}: test images are {} x {} x {}, training images {} x {} x {}",
         config.data.path.empty() ? "data" : config.data.path, test.height, test.width, test.channels,
         train.height, train.width, train.channels);
  }
  data.source_count = data.train.count;
  data.train_origin.resize(static_cast<std::size_t>(data.train.count));
  std::iota(data.train_origin.begin(), data.train_origin.end(), 0);
  if (row.has_folds && data.test.count == 0) cut_folds(data, config.data, config.run.seed);
  keep_first(data.train, config.data.train_limit, "train_limit");
  keep_first(data.test, config.data.test_limit, "test_limit");
  if (data.candidates) data.candidates->resize(static_cast<std::size_t>(data.train.count * data.classes));
  data.train_origin.resize(static_cast<std::size_t>(data.train.count));
  if (config.data.validation_fraction > 0) {
    hold_out_validation(data, config.data.validation_fraction, config.run.seed);
  }
  if (config.data.imbalance > 1) make_long_tailed(data, config.data.imbalance, config.run.seed);
  if (data.train.tabular()) standardise(data);
  return data;
}

std::string fingerprint(const DataSet& data) {
  const ImageSet& train = data.train;
  const std::int64_t shape[] = {train.count, train.height, train.width, train.channels, data.classes};
  Sha256 sha;
  sha.update(shape, sizeof(shape));
  sha.update(train.pixels.data(), train.pixels.size());
  sha.update(train.features.data(), train.features.size() * sizeof(float));
  sha.update(train.labels.data(), train.labels.size() * sizeof(train.labels[0]));
  sha.update(train.truths.data(), train.truths.size());
  return sha.hex();
}

}  // namespace dpll
