// Data sets in memory: uint8 images, NHWC, as published; or feature vectors of tabular sets.
#pragma once

#include <cstdint>
#include <functional>
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
  // [count, classes] of 0 and 1, where samples have several true labels: a prediction is right if it is one
  // of them. labels[i] is -1 for those samples. Empty where no sample has more than one.
  std::vector<std::uint8_t> truths = {};

  std::int64_t image_bytes() const { return height * width * channels; }
  bool tabular() const { return !features.empty(); }
  bool has_labels() const { return !labels.empty(); }
};

struct DataSet {
  std::string kind = "cifar10";  // data.dataset
  int classes = 0;
  std::vector<std::string> class_names;  // classes of them
  ImageSet train;
  ImageSet test;        // count may be 0 for a user's own data
  ImageSet validation;  // held-out part of the training set; count 0 when not asked for
  // Index of each training sample in the source: the order of the published or own file, before any cut.
  std::vector<std::int64_t> train_origin;
  std::int64_t source_count = 0;  // samples of the source, before any cut
  // Name of each of the source's samples, before any cut, where each is a file; else empty.
  std::vector<std::string> files;
  // [train.count, classes] of 0/1, no row empty, when they come with the data.
  std::optional<std::vector<std::uint8_t>> candidates;
  // Of feature vectors: each feature had this mean and was multiplied by this scale; empty of images.
  std::vector<double> feature_means = {}, feature_scales = {};
  std::vector<std::string> warnings;  // one line each, for the caller to print
};

// Who is told what reading a large data set does: `status` often, for a line that is replaced, and may throw
// to stop it; `line` once for what is worth keeping in a log. Both may be empty.
struct LoadReport {
  std::function<void(const std::string&)> status = {}, line = {};
  int threads = 0;  // to decode images with; 0: as many as OpenMP would take
};

// Loads, verifies and cuts (folds, limits, validation split) the data set that `config` names; the splits are
// drawn by Philox from run.seed, and all parts keep the published order. Files and sums: data/README.md.
// Features are standardised: mean 0 and variance 1 over the training samples that are left after all cuts.
// data.imbalance makes the training set long-tailed after the limits and the validation split
// (long_tail_counts() in src/data/split.h).
// Error(data): a file that is missing or damaged, with where it should lie, where it is published, expected
// and found MD5. Error(config): limits or a validation part that the data cannot give, a data set without a
// reader.
DataSet load_data(const RunConfig& config, const LoadReport& report = {});

// Hex SHA-256 over the training pixels, labels, shape and class count: ties a checkpoint to its data.
std::string fingerprint(const DataSet& data);

}  // namespace dpll
