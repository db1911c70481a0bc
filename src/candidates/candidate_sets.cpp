#include <bit>

#include "dpll/candidates.h"
#include "dpll/core/check.h"
#include "dpll/files.h"

namespace dpll {

int CandidateSets::size(std::int64_t sample) const {
  int labels = 0;
  for (int w = 0; w < words_per_row; ++w) {
    labels += std::popcount(words[static_cast<std::size_t>(sample * words_per_row + w)]);
  }
  return labels;
}

double CandidateSets::mean_size() const {
  std::int64_t labels = 0;
  for (const std::uint64_t word : words) labels += std::popcount(word);
  return count == 0 ? 0 : static_cast<double>(labels) / static_cast<double>(count);
}

CandidateSets candidates_from_table(const std::vector<std::uint8_t>& table, std::int64_t count, int classes,
                                    const std::string& source) {
  DPLL_CHECK(count >= 0 && classes >= 1 && table.size() == static_cast<std::size_t>(count * classes),
             "a candidate table of {} values for {} samples and {} classes", table.size(), count, classes);
  CandidateSets sets(count, classes);
  std::size_t next = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    bool empty = true;
    for (int c = 0; c < classes; ++c) {
      const std::uint8_t value = table[next++];
      if (value > 1) {
        fail(ExitCode::data, "{}: the candidates of sample {} hold {} for label {}; expected: 0 or 1", source,
             i, value, c);
      }
      if (value == 0) continue;
      sets.insert(i, c);
      empty = false;
    }
    if (empty)
      fail(ExitCode::data, "{}: sample {} has no candidate label; every sample needs one", source, i);
  }
  return sets;
}

std::string candidates_sha256(const CandidateSets& sets) {
  Sha256 hash;
  std::vector<std::uint8_t> bytes;
  for (const auto number :
       {static_cast<std::uint64_t>(sets.count), static_cast<std::uint64_t>(sets.classes)}) {
    for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<std::uint8_t>(number >> shift));
  }
  hash.update(bytes.data(), bytes.size());
  bytes.resize(static_cast<std::size_t>(sets.classes));
  for (std::int64_t i = 0; i < sets.count; ++i) {
    for (int c = 0; c < sets.classes; ++c) bytes[static_cast<std::size_t>(c)] = sets.contains(i, c) ? 1 : 0;
    hash.update(bytes.data(), bytes.size());
  }
  return hash.hex();
}

std::string weights_sha256(const CandidateSets& sets) {
  if (sets.weights.empty()) return "none";
  return sha256_hex(sets.weights.data(), sets.weights.size() * sizeof(float));
}

std::int64_t count_missing_truth(const CandidateSets& sets, const std::vector<std::int32_t>& labels) {
  DPLL_CHECK(static_cast<std::int64_t>(labels.size()) == sets.count, "{} labels for {} candidate sets",
             labels.size(), sets.count);
  std::int64_t missing = 0;
  for (std::int64_t i = 0; i < sets.count; ++i) {
    const std::int32_t label = labels[static_cast<std::size_t>(i)];
    DPLL_CHECK(label >= -1 && label < sets.classes, "label {} of sample {} with {} classes", label, i,
               sets.classes);
    if (label >= 0 && !sets.contains(i, label)) ++missing;
  }
  return missing;
}

}  // namespace dpll
