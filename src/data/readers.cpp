#include "data/readers.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "data/cifar.h"
#include "data/idx.h"
#include "data/label_advice.h"
#include "data/published_folder.h"
#include "data/svhn.h"
#include "dpll/core/check.h"

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

}  // namespace

DataSet read_idx(const DatasetRow& row, const RunConfig& run, const LoadReport&) {
  const RunConfig::Data& config = run.data;
  const PublishedSet& published = row.published;
  const PublishedFolder folder(published, config.path, how_to_get(row, config.path));
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

namespace {

void append(ImageSet& to, const ImageSet& batch) {
  to.height = batch.height;
  to.width = batch.width;
  to.channels = batch.channels;
  to.count += batch.count;
  to.pixels.insert(to.pixels.end(), batch.pixels.begin(), batch.pixels.end());
  to.labels.insert(to.labels.end(), batch.labels.begin(), batch.labels.end());
}

}  // namespace

DataSet read_cifar(const DatasetRow& row, const RunConfig& run, const LoadReport&) {
  const RunConfig::Data& config = run.data;
  const PublishedSet& published = version_that_is_there(row, config.path);
  const bool python = &published != &row.published;
  const PublishedFolder folder(published, config.path, how_to_get(row, config.path));
  CifarLabels labels = CifarLabels::ten;
  std::string names_file = published.name_lists.at(0);
  DataSet data;
  data.class_names = published.class_names;
  if (!row.coarse_names.empty()) {
    labels = config.coarse_labels ? CifarLabels::coarse : CifarLabels::fine;
    names_file = published.name_lists.at(config.coarse_labels ? 1 : 0);
    if (config.coarse_labels) data.class_names = row.coarse_names;
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
  const PublishedFile& partial = row.short_test;
  if (!partial.name.empty() && !folder.has(test) && folder.has(partial)) {
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

DataSet read_svhn(const DatasetRow& row, const RunConfig& run, const LoadReport&) {
  const RunConfig::Data& config = run.data;
  const PublishedSet& published = row.published;
  const PublishedFolder folder(published, config.path, how_to_get(row, config.path));
  DataSet data;
  data.class_names = published.class_names;
  const auto read = [&](const PublishedFile& file) {
    return folder.parse(file, config.verify, data.warnings, parse_svhn);
  };
  data.train = read(published.train.at(0));
  if (config.svhn_extra) append(data.train, read(row.more_train));
  data.test = read(published.test.at(0));
  return data;
}

}  // namespace dpll
