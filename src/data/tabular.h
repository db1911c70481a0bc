// Tabular partial-label sets as the field shares them (Lost, MSRCv2, BirdSong, Soccer Player, Yahoo! News,
// Mirflickr): a .mat file with features, true labels and candidate sets, under names of one of four layouts:
//   data [N,D], target [C,N], partial_target [C,N]
//   X [N,D], Y [N,C], Y_P [N,C]
//   features [N,D], logitlabels [N,C], p_labels [N,C]
//   train_data [N,D], train_target [C,N], train_p_target [C,N], test_data [M,D], test_target [C,M]
// as variables or as the fields of a structure, each dense or sparse; label tables may lie either way round.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/data.h"

namespace dpll {

// The whole file: features as they are, labels from the ones of target, candidate sets from partial_target,
// which may be missing; train_target may be missing where there are sets. The last layout's test set is
// DataSet::test, otherwise all samples are the training set. Classes are numbered from 0; a sample whose
// target has several ones has several truths (ImageSet::truths). Error(data): what MatFile refuses, missing
// variables, sizes that do not fit together, features that are not finite, columns of target without a 1,
// columns of partial_target that hold anything but 0 and 1 or no 1.
DataSet parse_tabular(std::vector<std::uint8_t> bytes, const std::string& path);

// Makes fold config.fold the test set, drawn by `seed`, and the rest the training set.
void cut_folds(DataSet& data, const RunConfig::Data& config, std::uint64_t seed);

// Shifts and scales every feature of all parts so that it has mean 0 and variance 1 over the training
// samples; a feature that is the same in all of them becomes 0 there and is only shifted elsewhere.
// Sets feature_means and feature_scales.
void standardise(DataSet& data);
// The same with given means and scales, a value for each feature.
void standardise(ImageSet& part, const std::vector<double>& means, const std::vector<double>& scales);

}  // namespace dpll
