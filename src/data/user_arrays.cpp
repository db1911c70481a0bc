#include "data/user_arrays.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "data/label_advice.h"
#include "dpll/core/check.h"
#include "io/shape_text.h"

namespace dpll {

namespace {

// Beyond this a label is a mistake (a sample number, a bit pattern) rather than a class.
constexpr std::int64_t kMostClasses = 65536;
constexpr std::array<const char*, 5> kKnown = {"images", "labels", "candidates", "test_images",
                                               "test_labels"};

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
  return {.count = shape[0],
          .height = shape[1],
          .width = shape[2],
          .channels = shape[3],
          .pixels = file.get<std::uint8_t>(name),
          .labels = {}};
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

}  // namespace

DataSet data_from_arrays(const SafetensorsFile& file) {
  const std::string& path = file.path();
  DataSet data;
  data.kind = DatasetKind::safetensors;
  data.train = read_images(file, "images");
  if (file.contains("labels")) data.train.labels = read_labels(file, "labels", data.train.count);
  if (file.contains("candidates")) data.candidates = read_candidates_table(file, data.train.count);
  if (!data.train.has_labels() && !data.candidates) {
    fail(ExitCode::data, "{}: nothing to learn from: neither known 'labels' nor 'candidates'", path);
  }
  if (file.contains("test_images")) {
    data.test = read_images(file, "test_images");
    if (file.contains("test_labels")) data.test.labels = read_labels(file, "test_labels", data.test.count);
  } else if (file.contains("test_labels")) {
    fail(ExitCode::data, "{}: 'test_labels' without 'test_images'", path);
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
      data.warnings.push_back(fmt::format(
          "{}: tensor '{}' is not used; known are images, labels, candidates, test_images, test_labels", path,
          name));
    }
  }
  return data;
}

}  // namespace dpll
