#include "data/tabular.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/mat_file.h"
#include "data/readers.h"
#include "data/split.h"
#include "dpll/core/check.h"
#include "io/shape_text.h"
#include "io/text.h"
#include "io/unzip.h"

namespace dpll {
namespace {

// The names under which the field shares such sets. `rows`: what the label tables' first size is where both
// sizes are the number of samples.
struct TabularLayout {
  const char *features, *target, *candidates;
  bool samples_first;
  const char *test_features, *test_target;  // nullptr: the file has no split of its own
};

constexpr std::array<TabularLayout, 4> kLayouts = {
    {{"data", "target", "partial_target", false, nullptr, nullptr},
     {"X", "Y", "Y_P", true, nullptr, nullptr},
     {"features", "logitlabels", "p_labels", true, nullptr, nullptr},
     {"train_data", "train_target", "train_p_target", false, "test_data", "test_target"}}};

// The layout whose features and some labels the file has.
const TabularLayout* layout_of(const MatFile& file) {
  for (const TabularLayout& layout : kLayouts) {
    if (file.has(layout.features) && (file.has(layout.target) || file.has(layout.candidates))) return &layout;
  }
  return nullptr;
}

// Zeros and ones, [samples, classes].
struct LabelTable {
  std::vector<std::uint8_t> ones;
  std::size_t classes = 0;
};

// From a [classes, samples] or [samples, classes] array.
LabelTable read_label_table(const MatFile& file, const std::string& path, const std::string& name,
                            std::size_t samples, bool samples_first) {
  const std::vector<std::size_t>& shape = file.shape_of(name);
  const bool both_fit = shape.size() == 2 && shape[0] == samples && shape[1] == samples;
  const bool by_rows = both_fit ? samples_first : shape.size() == 2 && shape[0] == samples;
  const std::size_t classes = shape.size() != 2 ? 0 : by_rows ? shape[1] : shape[0];
  if (shape.size() == 2 && ((!by_rows && shape[1] != samples) || classes < 2)) {
    fail(ExitCode::data,
         "{}: variable {} is {}, expected [C,{}] or [{},C]: a class for each of the C, a sample of the data "
         "for each of the others",
         path, name, shape_text(shape), samples, samples);
  }
  const MatFile::Numbers table = file.read_matrix(name);
  LabelTable labels{std::vector<std::uint8_t>(table.values.size()), classes};
  for (std::size_t i = 0; i < table.values.size(); ++i) {
    // Column-major [C,N] is row-major [N,C] already.
    const std::size_t sample = by_rows ? i % samples : i / classes,
                      label = by_rows ? i / samples : i % classes;
    const double value = table.values[i];
    if (value != 0 && value != 1) {
      fail(ExitCode::data, "{}: variable {} holds {} for class {} of sample {}, expected 0 or 1", path, name,
           value, label, sample);
    }
    labels.ones[sample * classes + label] = value == 1 ? 1 : 0;
  }
  return labels;
}

void set_truths(ImageSet& part, LabelTable target, const std::string& path, const std::string& name) {
  const auto samples = static_cast<std::size_t>(part.count);
  bool several = false;
  part.labels.resize(samples);
  for (std::size_t i = 0; i < samples; ++i) {
    int ones = 0;
    for (std::size_t c = 0; c < target.classes; ++c) {
      if (target.ones[i * target.classes + c] == 0) continue;
      part.labels[i] = static_cast<std::int32_t>(c);
      ++ones;
    }
    if (ones == 0) {
      fail(ExitCode::data, "{}: variable {} has 0 labels for sample {}, expected one or several", path, name,
           i);
    }
    if (ones == 1) continue;
    part.labels[i] = -1;
    several = true;
  }
  if (several) part.truths = std::move(target.ones);
}

void check_candidates(const LabelTable& table, const std::string& path, const std::string& name) {
  for (std::size_t i = 0; i * table.classes < table.ones.size(); ++i) {
    const auto row = table.ones.begin() + static_cast<std::ptrdiff_t>(i * table.classes);
    const auto end = row + static_cast<std::ptrdiff_t>(table.classes);
    if (std::find(row, end, 1) != end) continue;
    fail(ExitCode::data,
         "{}: variable {} has no candidate for sample {}; every sample needs one. Where nothing is known, "
         "all labels are candidates",
         path, name, i);
  }
}

ImageSet read_feature_rows(const MatFile& file, const std::string& path, const std::string& name) {
  const MatFile::Numbers features = file.read_matrix(name);
  const std::size_t samples = features.shape[0], width = features.shape[1];
  if (samples < 1 || width < 1) {
    fail(ExitCode::data, "{}: variable {} is {}, expected [N,D]: a row a sample, a column a feature", path,
         name, shape_text(features.shape));
  }
  ImageSet part;
  part.count = static_cast<std::int64_t>(samples);
  part.height = part.width = 1;
  part.channels = static_cast<std::int64_t>(width);
  part.features.resize(samples * width);
  for (std::size_t i = 0; i < samples; ++i) {
    for (std::size_t d = 0; d < width; ++d) {
      const double value = features.values[d * samples + i];
      const auto narrow = static_cast<float>(value);
      if (!std::isfinite(narrow)) {
        fail(ExitCode::data, "{}: variable {} holds {} in row {}, column {}, expected a finite float32", path,
             name, value, i, d);
      }
      part.features[i * width + d] = narrow;
    }
  }
  return part;
}

DataSet read_layout(const MatFile& file, const std::string& path, const TabularLayout& layout) {
  DataSet data;
  data.kind = "tabular";
  data.train = read_feature_rows(file, path, layout.features);
  const auto samples = static_cast<std::size_t>(data.train.count);
  const bool has_split = layout.test_features != nullptr;
  std::size_t classes = 0;
  std::string counted;  // the variable that says how many classes there are
  const auto agree = [&](const LabelTable& table, const std::string& name) {
    if (classes != 0 && table.classes != classes) {
      fail(ExitCode::data, "{}: {} has {} classes, {} {}", path, name, table.classes, counted, classes);
    }
    classes = table.classes;
    counted = name;
  };
  // Where training has candidates alone, its true labels are not known.
  if (!has_split || file.has(layout.target)) {
    LabelTable target = read_label_table(file, path, layout.target, samples, layout.samples_first);
    agree(target, layout.target);
    set_truths(data.train, std::move(target), path, layout.target);
  }
  if (file.has(layout.candidates)) {
    LabelTable sets = read_label_table(file, path, layout.candidates, samples, layout.samples_first);
    agree(sets, layout.candidates);
    check_candidates(sets, path, layout.candidates);
    data.candidates = std::move(sets.ones);
  }
  if (has_split) {
    data.test = read_feature_rows(file, path, layout.test_features);
    LabelTable target = read_label_table(file, path, layout.test_target,
                                         static_cast<std::size_t>(data.test.count), layout.samples_first);
    agree(target, layout.test_target);
    set_truths(data.test, std::move(target), path, layout.test_target);
    if (data.test.channels != data.train.channels) {
      fail(ExitCode::data, "{}: {} has {} features, {} {}", path, layout.test_features, data.test.channels,
           layout.features, data.train.channels);
    }
  }
  data.classes = static_cast<int>(classes);
  for (int c = 0; c < data.classes; ++c) data.class_names.push_back(std::to_string(c));
  return data;
}

}  // namespace

DataSet parse_tabular(std::vector<std::uint8_t> bytes, const std::string& path) {
  const MatFile file(std::move(bytes), path);
  if (const TabularLayout* layout = layout_of(file)) return read_layout(file, path, *layout);
  for (const std::string& structure : file.structures()) {
    const MatFile fields = file.fields_of(structure);
    const std::string where = fmt::format("{}: structure {}", path, printable(structure));
    if (const TabularLayout* layout = layout_of(fields)) return read_layout(fields, where, *layout);
  }
  std::vector<std::string> known;
  for (const TabularLayout& layout : kLayouts) {
    // The features say which layout is meant; reading it says what is missing.
    if (file.has(layout.features)) return read_layout(file, path, layout);
    known.push_back(fmt::format("{}, {} and {}", layout.features, layout.target, layout.candidates));
  }
  fail(ExitCode::data, "{}: no variable {}; it has {}. Known are {}", path, kLayouts[0].features,
       file.names().empty() ? "none" : fmt::format("{}", fmt::join(file.names(), ", ")),
       fmt::join(known, "; or "));
}

DataSet read_tabular(const DatasetRow&, const RunConfig& config, const LoadReport&) {
  DataSet data = parse_tabular(read_unzipped(config.data.path, mat_limit), config.data.path);
  const RunConfig::Data defaults;
  if (data.test.count > 0 && (config.data.fold != defaults.fold || config.data.folds != defaults.folds)) {
    fail(ExitCode::config,
         "data.fold = {}, data.folds = {}: {} has a test set of its own, so there are no folds",
         config.data.fold, config.data.folds, config.data.path);
  }
  return data;
}

void cut_folds(DataSet& data, const RunConfig::Data& config, std::uint64_t seed) {
  if (data.train.count < config.folds) {
    fail(ExitCode::config, "data.folds = {}, but the data set has {} samples", config.folds,
         data.train.count);
  }
  const Split split = draw_fold(data.train.count, config.folds, config.fold, seed);
  data.test = select(data.train, split.chosen);
  data.train = select(data.train, split.rest);
  data.train_origin = split.rest;
  if (data.candidates) {
    data.candidates = select_rows(*data.candidates, data.classes, split.rest);
  }
}

void standardise(ImageSet& part, const std::vector<double>& means, const std::vector<double>& scales) {
  const std::size_t width = means.size();
  for (std::size_t i = 0; i < part.features.size(); ++i) {
    part.features[i] = static_cast<float>((part.features[i] - means[i % width]) * scales[i % width]);
  }
}

void standardise(DataSet& data) {
  const auto width = static_cast<std::size_t>(data.train.channels);
  const auto samples = static_cast<double>(data.train.count);
  for (std::size_t d = 0; d < width; ++d) {
    double mean = 0, variance = 0;
    for (std::size_t i = d; i < data.train.features.size(); i += width) mean += data.train.features[i];
    mean /= samples;
    for (std::size_t i = d; i < data.train.features.size(); i += width) {
      const double away = data.train.features[i] - mean;
      variance += away * away;
    }
    variance /= samples;
    const double scale = variance > 0 ? 1 / std::sqrt(variance) : 1;
    data.feature_means.push_back(mean);
    data.feature_scales.push_back(scale);
  }
  for (ImageSet* part : {&data.train, &data.test, &data.validation}) {
    standardise(*part, data.feature_means, data.feature_scales);
  }
}

}  // namespace dpll
