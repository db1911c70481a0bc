// Parts of a data set.
#pragma once

#include <cstdint>
#include <vector>

#include "dpll/data.h"

namespace dpll {

// The rows `indices` of `table`, whose rows have `width` values, in that order.
template <typename T>
std::vector<T> select_rows(const std::vector<T>& table, std::int64_t width,
                           const std::vector<std::int64_t>& indices) {
  std::vector<T> out;
  out.reserve(indices.size() * static_cast<std::size_t>(width));
  for (const std::int64_t i : indices) {
    out.insert(out.end(), table.begin() + i * width, table.begin() + (i + 1) * width);
  }
  return out;
}

// The samples `indices` of `set`, in that order.
ImageSet select(const ImageSet& set, const std::vector<std::int64_t>& indices);

struct Split {
  std::vector<std::int64_t> chosen, rest;  // ascending
};
// What a part is for; each is drawn with numbers of its own (the epoch word of Purpose::split).
enum class SplitPart : std::uint32_t { validation = 0, selection = 1, folds = 2, long_tail = 3 };
// `chosen` of the indices 0..count-1, by the first steps of a Fisher-Yates shuffle, and the rest.
Split draw_split(std::int64_t count, std::int64_t chosen, std::uint64_t seed, SplitPart part);
// Fold `fold` of `folds` (0-based) of a random order of 0..count-1, which `seed` decides, and the rest. The
// folds of one seed are disjoint, cover everything, and differ in size by at most 1.
Split draw_fold(std::int64_t count, int folds, int fold, std::uint64_t seed);

// The sizes of the classes of a long-tailed set of `count` samples (Cao et al., "Learning Imbalanced Datasets
// with Label-Distribution-Aware Margin Loss", NeurIPS 2019, and its code): class c of C has
// count / C * ratio^(-c / (C - 1)), rounded down, at least 1.
std::vector<std::int64_t> long_tail_counts(std::int64_t count, int classes, double ratio);
// For each class c the first sizes[c] of its samples in a random order that `seed` decides, or all where
// there are fewer; ascending. labels: in [0, classes).
std::vector<std::int64_t> draw_long_tail(const std::vector<std::int32_t>& labels,
                                         const std::vector<std::int64_t>& sizes, std::uint64_t seed);

}  // namespace dpll
