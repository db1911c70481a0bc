// Tabular partial-label sets as the field shares them (Lost, MSRCv2, BirdSong, Soccer Player, Yahoo! News): a
// .mat file with data [N, D], target [C, N] and partial_target [C, N], each dense or sparse.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/data.h"

namespace dpll {

// The whole file as the training set: features as they are, labels from the one 1 in each column of target,
// candidate sets from partial_target, which may be missing. Classes are numbered from 0. Error(data): what
// MatFile refuses, missing variables, sizes that do not fit together, features that are not finite, columns
// of target that do not hold a single 1, columns of partial_target that hold anything but 0 and 1 or no 1.
DataSet parse_tabular(std::vector<std::uint8_t> bytes, const std::string& path);

// Makes fold config.fold the test set, drawn by `seed`, and the rest the training set.
void cut_folds(DataSet& data, const RunConfig::Data& config, std::uint64_t seed);

// Shifts and scales every feature of all parts so that it has mean 0 and variance 1 over the training
// samples; a feature that is the same in all of them becomes 0 there and is only shifted elsewhere.
void standardise(DataSet& data);

}  // namespace dpll
