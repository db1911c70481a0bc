#include "data/user_arrays.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/label_advice.h"
#include "data/readers.h"
#include "dpll/core/check.h"
#include "io/shape_text.h"
#include "io/text.h"

namespace dpll {

namespace {

// Beyond this a label is a mistake (a sample number, a bit pattern) rather than a class.
constexpr std::int64_t kMostClasses = 65536;
constexpr std::array<const char*, 7> kKnown = {"images",      "features",      "labels",     "candidates",
                                               "test_images", "test_features", "test_labels"};

ImageSet read_images(const SafetensorsFile& file, const std::string& name) {
  const std::vector<std::int64_t>& shape = file.entry(name).shape;
  if (shape.size() != 4 || *std::min_element(shape.begin(), shape.end()) < 1) {
    fail(ExitCode::data, "{}: tensor '{}' has shape {}, expected [N,H,W,C], none of them 0", file.path(),
         name, shape_text(shape));
  }
  // Images have a few channels and more pixels than that on a side.
  constexpr std::int64_t kFew = 4;
  if (shape[1] <= kFew && shape[2] > kFew && shape[3] > kFew) {
    fail(ExitCode::data,
         "{}: tensor '{}' has shape {}, which looks like [N,C,H,W]; expected [N,H,W,C]: "
         "images.transpose(0, 2, 3, 1) in NumPy",
         file.path(), name, shape_text(shape));
  }
  if (shape[1] == 1 && shape[2] == 1) {
    fail(ExitCode::data, "{}: tensor '{}' has shape {}, images of one pixel; expected '{}' of shape [N,D]",
         file.path(), name, shape_text(shape), name == "images" ? "features" : "test_features");
  }
  return {.count = shape[0],
          .height = shape[1],
          .width = shape[2],
          .channels = shape[3],
          .pixels = file.get<std::uint8_t>(name),
          .labels = {}};
}

}  // namespace

ImageSet read_features(const SafetensorsFile& file, const std::string& name) {
  const TensorEntry& entry = file.entry(name);
  if (entry.shape.size() != 2 || *std::min_element(entry.shape.begin(), entry.shape.end()) < 1) {
    fail(ExitCode::data, "{}: tensor '{}' has shape {}, expected [N,D], none of them 0", file.path(), name,
         shape_text(entry.shape));
  }
  const bool known = entry.other_type.empty() && (entry.dtype == DType::f16 || entry.dtype == DType::bf16 ||
                                                  entry.dtype == DType::f32 || entry.dtype == DType::f64);
  if (!known) {
    fail(ExitCode::data, "{}: tensor '{}' is {}, expected f32, f16, bf16 or f64", file.path(), name,
         entry.other_type.empty() ? name_of(entry.dtype) : entry.other_type);
  }
  ImageSet set;
  set.count = entry.shape[0];
  set.height = set.width = 1;
  set.channels = entry.shape[1];
  if (entry.dtype == DType::f32) {
    set.features = file.get<float>(name);
  } else {
    const std::vector<double> values = file.get_as_double(name);
    set.features.reserve(values.size());
    for (const double value : values) set.features.push_back(static_cast<float>(value));
  }
  for (std::size_t i = 0; i < set.features.size(); ++i) {
    if (std::isfinite(set.features[i])) continue;
    const auto width = static_cast<std::size_t>(set.channels);
    fail(ExitCode::data, "{}: tensor '{}' holds {} in row {}, column {}, expected a finite float32",
         file.path(), name, set.features[i], i / width, i % width);
  }
  return set;
}

namespace {

// `prefix`: "" or "test_". Nothing where neither tensor is there.
ImageSet read_samples(const SafetensorsFile& file, const std::string& prefix) {
  const std::string images = prefix + "images", features = prefix + "features";
  if (file.contains(images) && file.contains(features)) {
    fail(ExitCode::data, "{}: it has both '{}' and '{}'; expected one of them", file.path(), images,
         features);
  }
  if (file.contains(features)) return read_features(file, features);
  return file.contains(images) ? read_images(file, images) : ImageSet{};
}

template <typename T>
std::vector<std::int64_t> widen(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

// Labels of `count` samples; empty when all are -1.
std::vector<std::int32_t> read_labels(const SafetensorsFile& file, const std::string& name,
                                      std::int64_t count) {
  const std::vector<std::int64_t> shape = {count};
  std::vector<std::int64_t> values;
  switch (file.entry(name).dtype) {
    case DType::u8:
      values = widen(file.get<std::uint8_t>(name, shape));
      break;
    case DType::i32:
      values = widen(file.get<std::int32_t>(name, shape));
      break;
    case DType::i64:
      values = file.get<std::int64_t>(name, shape);
      break;
    default:
      fail(ExitCode::data, "{}: tensor '{}' is {}, expected i64, i32 or u8", file.path(), name,
           name_of(file.entry(name).dtype));
  }
  bool any = false;
  std::vector<std::int32_t> labels(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < -1 || values[i] >= kMostClasses) {
      fail(ExitCode::data, "{}: tensor '{}': label {} of sample {} is out of range: -1 (unknown) to {}",
           file.path(), name, values[i], i, kMostClasses - 1);
    }
    labels[i] = static_cast<std::int32_t>(values[i]);
    any = any || labels[i] >= 0;
  }
  if (!any) labels.clear();
  return labels;
}

std::vector<std::uint8_t> read_candidates_table(const SafetensorsFile& file, std::int64_t count) {
  const std::vector<std::int64_t>& shape = file.entry("candidates").shape;
  if (shape.size() != 2 || shape[0] != count || shape[1] < 2 || shape[1] > kMostClasses) {
    fail(ExitCode::data, "{}: tensor 'candidates' has shape {}, expected [{},classes] with 2 to {} classes",
         file.path(), shape_text(shape), count, kMostClasses);
  }
  std::vector<std::uint8_t> table = file.get<std::uint8_t>("candidates");
  const auto classes = static_cast<std::size_t>(shape[1]);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    bool empty = true;
    for (std::size_t c = 0; c < classes; ++c) {
      const std::uint8_t value = table[i * classes + c];
      if (value > 1) {
        fail(ExitCode::data, "{}: tensor 'candidates': row {} holds {}, expected 0 or 1", file.path(), i,
             value);
      }
      empty = empty && value == 0;
    }
    if (empty) {
      fail(
          ExitCode::data,
          "{}: tensor 'candidates': row {} is empty; every sample needs a candidate. Where nothing is known, "
          "all labels are candidates",
          file.path(), i);
    }
  }
  return table;
}

std::vector<std::string> names_of(const SafetensorsFile& file) {
  std::vector<std::string> names;
  for (const auto& [name, entry] : file.entries()) names.push_back(printable(name));
  return names;
}

void check_labels_below(const std::vector<std::int32_t>& labels, int classes, const std::string& name,
                        const std::string& path) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < classes) continue;
    const bool from_one = labels[i] == classes && std::find(labels.begin(), labels.end(), 0) == labels.end();
    fail(ExitCode::data,
         "{}: tensor '{}': label {} of sample {} is out of range: the candidates have {} classes; {}", path,
         name, labels[i], i, classes,
         from_one ? "do the labels start at 1? They count from 0"
                  : "where it means that the label is unknown, write -1, as i64 or i32");
  }
}

// What the configuration could not know before the file was read.
void check_kind(const RunConfig& config, const DataSet& data) {
  const RunConfig::Views& views = config.views;
  const std::string& path = config.data.path;
  if (!data.train.tabular()) {
    if (views.weak_noise || views.strong_noise || views.weak_feature_dropout ||
        views.strong_feature_dropout) {
      fail(ExitCode::config,
           "views.weak_noise, strong_noise, weak_feature_dropout and strong_feature_dropout are for feature "
           "vectors; {} holds images",
           path);
    }
    return;
  }
  if (config.model.architecture != Architecture::mlp) {
    fail(ExitCode::config, "model.architecture = {}: {} holds feature vectors; expected architecture = mlp",
         to_string(config.model.architecture), path);
  }
  if (views.weak_policy || views.strong_policy || views.policy || views.cutout || views.pad ||
      !views.mean.empty()) {
    fail(ExitCode::config,
         "[views] weak_policy, strong_policy, policy, cutout, pad, mean and std are for images; {} holds "
         "feature vectors; expected weak_noise, strong_noise, weak_feature_dropout and "
         "strong_feature_dropout",
         path);
  }
  if (config.candidates.mode == CandidateMode::instance) {
    fail(ExitCode::config,
         "candidates.mode = instance trains its annotator on images; {} holds feature vectors", path);
  }
}

}  // namespace

DataSet read_arrays(const DatasetRow&, const RunConfig& config, const LoadReport&) {
  DataSet data = data_from_arrays(SafetensorsFile::read(config.data.path));
  check_kind(config, data);
  return data;
}

DataSet data_from_arrays(const SafetensorsFile& file) {
  const std::string& path = file.path();
  DataSet data;
  data.kind = "safetensors";
  data.train = read_samples(file, "");
  if (data.train.count == 0) {
    fail(ExitCode::data, "{}: no tensor 'images' or 'features'; it has {}", path,
         fmt::join(names_of(file), ", "));
  }
  if (file.contains("labels")) data.train.labels = read_labels(file, "labels", data.train.count);
  if (file.contains("candidates")) data.candidates = read_candidates_table(file, data.train.count);
  if (!data.train.has_labels() && !data.candidates) {
    fail(ExitCode::data, "{}: nothing to learn from: neither known 'labels' nor 'candidates'", path);
  }
  data.test = read_samples(file, "test_");
  if (data.test.count > 0) {
    if (data.test.tabular() != data.train.tabular()) {
      fail(ExitCode::data, "{}: images and features; the test samples must be what the others are", path);
    }
    if (file.contains("test_labels")) data.test.labels = read_labels(file, "test_labels", data.test.count);
  } else if (file.contains("test_labels")) {
    fail(ExitCode::data, "{}: 'test_labels' without 'test_images' or 'test_features'", path);
  }

  if (data.candidates) {
    data.classes = static_cast<int>(file.entry("candidates").shape[1]);
    check_labels_below(data.train.labels, data.classes, "labels", path);
    check_labels_below(data.test.labels, data.classes, "test_labels", path);
  } else {
    for (const std::vector<std::int32_t>* labels : {&data.train.labels, &data.test.labels}) {
      for (const std::int32_t label : *labels) data.classes = std::max(data.classes, label + 1);
    }
    if (data.classes < 2) fail(ExitCode::data, "{}: all labels are 0; at least two classes are needed", path);
    data.warnings = label_advice(data, path);
  }
  for (int c = 0; c < data.classes; ++c) data.class_names.push_back(std::to_string(c));

  for (const auto& [name, entry] : file.entries()) {
    if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) {
      data.warnings.push_back(
          fmt::format("{}: tensor '{}' is not used; known are {}", path, name, fmt::join(kKnown, ", ")));
    }
  }
  return data;
}

}  // namespace dpll
