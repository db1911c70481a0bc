#include "data/tabular.h"

#include <cmath>

#include "data/mat_file.h"
#include "data/split.h"
#include "dpll/core/check.h"
#include "io/shape_text.h"

namespace dpll {
namespace {

// A [classes, samples] array of 0 and 1, turned into [samples, classes].
std::vector<std::uint8_t> read_table(const MatFile& file, const std::string& path, const std::string& name,
                                     std::size_t samples) {
  const std::vector<std::size_t>& shape = file.shape_of(name);
  if (shape.size() == 2 && (shape[1] != samples || shape[0] < 2)) {
    fail(ExitCode::data, "{}: variable {} is {}, expected [C,{}]: a row a class, a column a sample of data",
         path, name, shape_text(shape), samples);
  }
  const MatFile::Numbers table = file.read_matrix(name);
  const std::size_t classes = table.shape[0];
  std::vector<std::uint8_t> rows(table.values.size());
  // Column-major [C, N] is row-major [N, C].
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double value = table.values[i];
    if (value != 0 && value != 1) {
      fail(ExitCode::data, "{}: variable {} holds {} for class {} of sample {}, expected 0 or 1", path, name,
           value, i % classes, i / classes);
    }
    rows[i] = value == 1 ? 1 : 0;
  }
  return rows;
}

std::vector<std::int32_t> labels_of(const std::vector<std::uint8_t>& target, std::size_t samples,
                                    const std::string& path) {
  const std::size_t classes = target.size() / samples;
  std::vector<std::int32_t> labels(samples);
  for (std::size_t i = 0; i < samples; ++i) {
    int ones = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      if (target[i * classes + c] == 0) continue;
      labels[i] = static_cast<std::int32_t>(c);
      ++ones;
    }
    if (ones != 1) {
      fail(ExitCode::data, "{}: variable target has {} labels for sample {}, expected one", path, ones, i);
    }
  }
  return labels;
}

void check_candidates(const std::vector<std::uint8_t>& table, std::size_t samples, const std::string& path) {
  const std::size_t classes = table.size() / samples;
  for (std::size_t i = 0; i < samples; ++i) {
    bool empty = true;
    for (std::size_t c = 0; c < classes; ++c) empty = empty && table[i * classes + c] == 0;
    if (empty) {
      fail(ExitCode::data,
           "{}: variable partial_target has no candidate for sample {}; every sample needs one. Where "
           "nothing is "
           "known, all labels are candidates",
           path, i);
    }
  }
}

}  // namespace

DataSet parse_tabular(std::vector<std::uint8_t> bytes, const std::string& path) {
  const MatFile file(std::move(bytes), path);
  const MatFile::Numbers features = file.read_matrix("data");
  const std::size_t samples = features.shape[0], width = features.shape[1];
  if (samples < 1 || width < 1) {
    fail(ExitCode::data, "{}: variable data is {}, expected [N,D]: a row a sample, a column a feature", path,
         shape_text(features.shape));
  }
  DataSet data;
  data.kind = DatasetKind::tabular;
  data.train.count = static_cast<std::int64_t>(samples);
  data.train.height = data.train.width = 1;
  data.train.channels = static_cast<std::int64_t>(width);
  data.train.features.resize(samples * width);
  for (std::size_t i = 0; i < samples; ++i) {
    for (std::size_t d = 0; d < width; ++d) {
      const double value = features.values[d * samples + i];
      const auto narrow = static_cast<float>(value);
      if (!std::isfinite(narrow)) {
        fail(ExitCode::data, "{}: variable data holds {} in row {}, column {}, expected a finite float32",
             path, value, i, d);
      }
      data.train.features[i * width + d] = narrow;
    }
  }
  const std::vector<std::uint8_t> target = read_table(file, path, "target", samples);
  data.train.labels = labels_of(target, samples, path);
  if (file.has("partial_target")) {
    data.candidates = read_table(file, path, "partial_target", samples);
    if (data.candidates->size() != target.size()) {
      fail(ExitCode::data, "{}: partial_target has {} classes, target {}", path,
           data.candidates->size() / samples, target.size() / samples);
    }
    check_candidates(*data.candidates, samples, path);
  }
  data.classes = static_cast<int>(target.size() / samples);
  for (int c = 0; c < data.classes; ++c) data.class_names.push_back(std::to_string(c));
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
    for (ImageSet* part : {&data.train, &data.test, &data.validation}) {
      for (std::size_t i = d; i < part->features.size(); i += width) {
        part->features[i] = static_cast<float>((part->features[i] - mean) * scale);
      }
    }
  }
}

}  // namespace dpll
