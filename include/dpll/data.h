// Data sets in memory: uint8 images, NHWC, as published; or feature vectors of tabular sets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dpll/config.h"

namespace dpll {

// One split: images, or feature vectors [count, D], which count as images of 1 x 1 pixels with D channels.
// labels[i] in [0, classes) or -1 when unknown; labels is empty when none are known.
struct ImageSet {
  std::int64_t count = 0;
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;  // count * height * width * channels; empty with features
  std::vector<float> features = {};  // count * channels, standardised; empty with pixels
  std::vector<std::int32_t> labels;

  std::int64_t image_bytes() const { return height * width * channels; }
  bool tabular() const { return !features.empty(); }
  bool has_labels() const { return !labels.empty(); }
};

struct DataSet {
  DatasetKind kind = DatasetKind::cifar10;
  int classes = 0;
  std::vector<std::string> class_names;  // classes of them
  ImageSet train;
  ImageSet test;        // count may be 0 for a user's own data
  ImageSet validation;  // held-out part of the training set; count 0 when not asked for
  // Index of each training sample in the source: the order of the published or own file, before any cut.
  std::vector<std::int64_t> train_origin;
  std::int64_t source_count = 0;  // samples of the source, before any cut
  // [train.count, classes] of 0/1, no row empty, when they come with the data.
  std::optional<std::vector<std::uint8_t>> candidates;
  std::vector<std::string> warnings;  // one line each, for the caller to print
};

// Loads, verifies and cuts (folds, limits, validation split) the data set that `config` names; the splits are
// drawn by Philox from run.seed, and all parts keep the published order. Files and sums: data/README.md.
// Features are standardised: mean 0 and variance 1 over the training samples that are left after all cuts.
// Error(data): a file that is missing or damaged, with where it should lie, where it is published, expected
// and found MD5. Error(config): limits or a validation part that the data cannot give, a data set without a
// reader.
DataSet load_data(const RunConfig& config);

// Hex SHA-256 over the training pixels, labels, shape and class count: ties a checkpoint to its data.
std::string fingerprint(const DataSet& data);

}  // namespace dpll
