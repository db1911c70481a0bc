#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/cifar.h"
#include "data/idx.h"
#include "data/label_advice.h"
#include "data/published_folder.h"
#include "data/split.h"
#include "data/svhn.h"
#include "data/tabular.h"
#include "data/user_arrays.h"
#include "dpll/data.h"
#include "dpll/files.h"
#include "io/unzip.h"

namespace dpll {

namespace {

ImageSet read_idx_pair(const PublishedFolder& folder, const std::vector<PublishedFile>& files, int classes,
                       bool verify, std::vector<std::string>& warnings) {
  const PublishedFile& images = files.at(0);
  const PublishedFile& labels = files.at(1);
  ImageSet set = folder.parse(images, verify, warnings, parse_idx_images);
  set.labels = folder.parse(labels, verify, warnings,
                            [&](const std::vector<std::uint8_t>& bytes, const std::string& path) {
                              std::vector<std::int32_t> found = parse_idx_labels(bytes, path, classes);
                              if (static_cast<std::int64_t>(found.size()) != set.count) {
                                fail(ExitCode::data, "{}: {} labels for the {} images of {}", path,
                                     found.size(), set.count, folder.path_of(images));
                              }
                              return found;
                            });
  return set;
}

DataSet load_idx(const RunConfig::Data& config) {
  const PublishedSet& published = published_set(config.dataset);
  const PublishedFolder folder(published, config.path);
  DataSet data;
  data.class_names = published.class_names;
  const int known_classes = static_cast<int>(published.class_names.size());
  data.train = read_idx_pair(folder, published.train, known_classes, config.verify, data.warnings);
  data.test = read_idx_pair(folder, published.test, known_classes, config.verify, data.warnings);
  if (known_classes == 0) {
    const std::int32_t largest =
        std::max(*std::max_element(data.train.labels.begin(), data.train.labels.end()),
                 *std::max_element(data.test.labels.begin(), data.test.labels.end()));
    if (largest == 0) {
      fail(ExitCode::data, "{}: all labels are 0; at least two classes are needed",
           folder.path_of(published.train.at(1)));
    }
    for (std::int32_t c = 0; c <= largest; ++c) data.class_names.push_back(std::to_string(c));
    data.classes = largest + 1;
    const std::vector<std::string> advice = label_advice(data, folder.path_of(published.train.at(1)));
    data.warnings.insert(data.warnings.end(), advice.begin(), advice.end());
  }
  return data;
}

void append(ImageSet& to, const ImageSet& batch) {
  to.height = batch.height;
  to.width = batch.width;
  to.channels = batch.channels;
  to.count += batch.count;
  to.pixels.insert(to.pixels.end(), batch.pixels.begin(), batch.pixels.end());
  to.labels.insert(to.labels.end(), batch.labels.begin(), batch.labels.end());
}

DataSet load_cifar(const RunConfig::Data& config) {
  const bool python = has_only_python_version(config);
  const PublishedSet& published =
      python ? published_python_set(config.dataset) : published_set(config.dataset);
  const PublishedFolder folder(published, config.path);
  CifarLabels labels = CifarLabels::ten;
  std::string names_file = "batches.meta.txt";
  DataSet data;
  data.class_names = published.class_names;
  if (config.dataset == DatasetKind::cifar100) {
    labels = config.coarse_labels ? CifarLabels::coarse : CifarLabels::fine;
    names_file = config.coarse_labels ? "coarse_label_names.txt" : "fine_label_names.txt";
    if (config.coarse_labels) data.class_names = cifar100_coarse_names();
  }
  const auto read_batch = [&](const PublishedFile& file) {
    return folder.parse(file, config.verify, data.warnings,
                        [&](const std::vector<std::uint8_t>& bytes, const std::string& path) {
                          return python ? parse_cifar_python(bytes, path, labels)
                                        : parse_cifar(bytes, path, labels);
                        });
  };
  for (const PublishedFile& file : published.train) append(data.train, read_batch(file));

  const PublishedFile& test = published.test.at(0);
  const PublishedFile& partial = cifar10_partial_test();
  if (config.dataset == DatasetKind::cifar10 && !folder.has(test) && folder.has(partial)) {
    append(data.test, read_batch(partial));
    data.warnings.push_back(
        fmt::format("{}: only the first {} of CIFAR-10's 10000 test images; test figures are not "
                    "comparable with published ones",
                    folder.path_of(partial), data.test.count));
  } else {
    append(data.test, read_batch(test));
  }

  const std::vector<std::string> names = folder.read_lines(names_file);
  if (!names.empty()) {
    if (names.size() != data.class_names.size()) {
      fail(ExitCode::data, "{}: {} class names beside the data, expected {}", names_file, names.size(),
           data.class_names.size());
    }
    data.class_names = names;
  }
  return data;
}

DataSet load_svhn(const RunConfig::Data& config) {
  const PublishedSet& published = published_set(config.dataset);
  const PublishedFolder folder(published, config.path);
  DataSet data;
  data.class_names = published.class_names;
  const auto read = [&](const PublishedFile& file) {
    return folder.parse(file, config.verify, data.warnings, parse_svhn);
  };
  data.train = read(published.train.at(0));
  if (config.svhn_extra) append(data.train, read(svhn_extra()));
  data.test = read(published.test.at(0));
  return data;
}

DataSet load_published_or_own(const RunConfig::Data& config) {
  switch (config.dataset) {
    case DatasetKind::cifar10:
    case DatasetKind::cifar100:
      return load_cifar(config);
    case DatasetKind::fashion_mnist:
    case DatasetKind::kmnist:
      return load_idx(config);
    case DatasetKind::idx:
      if (config.path.empty())
        fail(ExitCode::config, "data.path: dataset = idx needs the folder of the IDX files");
      return load_idx(config);
    case DatasetKind::safetensors:
      if (config.path.empty())
        fail(ExitCode::config, "data.path: dataset = safetensors needs the path of the file");
      return data_from_arrays(SafetensorsFile::read(config.path));
    case DatasetKind::svhn:
      return load_svhn(config);
    case DatasetKind::tabular:
      if (config.path.empty())
        fail(ExitCode::config, "data.path: dataset = tabular needs the path of the .mat file");
      return parse_tabular(read_unzipped(config.path, mat_limit), config.path);
  }
  fail(ExitCode::internal, "data set {} has no reader", static_cast<int>(config.dataset));
}

void keep_first(ImageSet& set, std::int64_t limit, const char* key) {
  if (limit > set.count) {
    fail(ExitCode::config, "data.{} = {}, but the data set has {} samples there", key, limit, set.count);
  }
  if (limit == 0) return;
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

}  // namespace

DataSet load_data(const RunConfig& config) {
  if (config.data.coarse_labels && config.data.dataset != DatasetKind::cifar100) {
    fail(ExitCode::config, "data.coarse_labels = true: only CIFAR-100 has coarse labels");
  }
  if (config.data.svhn_extra && config.data.dataset != DatasetKind::svhn) {
    fail(ExitCode::config, "data.svhn_extra = true: only SVHN has such a file");
  }
  DataSet data = load_published_or_own(config.data);
  data.kind = config.data.dataset;
  data.classes = static_cast<int>(data.class_names.size());
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
  if (data.train.tabular()) cut_folds(data, config.data, config.run.seed);
  keep_first(data.train, config.data.train_limit, "train_limit");
  keep_first(data.test, config.data.test_limit, "test_limit");
  if (data.candidates) data.candidates->resize(static_cast<std::size_t>(data.train.count * data.classes));
  data.train_origin.resize(static_cast<std::size_t>(data.train.count));
  if (config.data.validation_fraction > 0) {
    hold_out_validation(data, config.data.validation_fraction, config.run.seed);
  }
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
  return sha.hex();
}

}  // namespace dpll
