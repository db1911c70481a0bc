#include "data/label_advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <set>

namespace dpll {

std::vector<std::string> label_advice(const DataSet& data, const std::string& path) {
  // The largest of a type, and rows of nines.
  constexpr std::array<std::int32_t, 7> kUnknown = {99, 127, 255, 999, 9999, 32767, 65535};
  std::set<std::int32_t> labels;
  for (const ImageSet* part : {&data.train, &data.test})
    labels.insert(part->labels.begin(), part->labels.end());
  labels.erase(-1);
  std::vector<std::string> advice;
  if (labels.size() < 2) return advice;
  if (*labels.begin() == 1) {
    advice.push_back(fmt::format(
        "{}: no sample has label 0, yet it counts as a class: do the labels start at 1? They count from 0",
        path));
  }
  const std::int32_t largest = *labels.rbegin(), before = *std::next(labels.rbegin());
  if (largest > before + 1 && std::find(kUnknown.begin(), kUnknown.end(), largest) != kUnknown.end()) {
    advice.push_back(
        fmt::format("{}: label {} makes {} classes, and no sample has one from {} to {}: does it mean "
                    "unknown? That is -1, in a "
                    "safetensors file, as i64 or i32",
                    path, largest, data.classes, before + 1, largest - 1));
  }
  return advice;
}

}  // namespace dpll
