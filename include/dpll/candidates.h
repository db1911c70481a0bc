// Candidate label sets: which labels each training sample may have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dpll {

// A bitmask per sample, in 64-bit words: label c of sample i is bit c % 64 of words[i * words_per_row + c /
// 64].
struct CandidateSets {
  std::int64_t count = 0;
  int classes = 0;
  int words_per_row = 0;
  std::vector<std::uint64_t> words;

  CandidateSets() = default;
  CandidateSets(std::int64_t count_, int classes_)
      : count(count_),
        classes(classes_),
        words_per_row((classes_ + 63) / 64),
        words(static_cast<std::size_t>(count_ * words_per_row), 0) {}

  bool contains(std::int64_t sample, int label) const {
    return (words[static_cast<std::size_t>(sample * words_per_row + label / 64)] >> (label % 64)) & 1u;
  }
  void insert(std::int64_t sample, int label) {
    words[static_cast<std::size_t>(sample * words_per_row + label / 64)] |= std::uint64_t{1} << (label % 64);
  }
  int size(std::int64_t sample) const;  // |S_i|
  double mean_size() const;
};

// Uniform flipping, bit-identical to the published NumPy code (spec section 6): numpy.random.seed(seed), then
// per sample `classes` draws of binomial(1, rate), the truth added, and with min_distractors = 1 labels drawn
// by randint(0, classes) until there is one besides the truth. rate in [0, 1).
CandidateSets uniform_candidates(const std::vector<std::int32_t>& labels, int classes, double rate,
                                 int min_distractors, std::uint32_t seed);

// From a dense 0/1 table [count, classes], or Error(data) naming the first empty row.
CandidateSets candidates_from_table(const std::vector<std::uint8_t>& table, std::int64_t count, int classes,
                                    const std::string& source);

// CSV: header "sample,candidates", then one row per sample in order, labels separated by spaces. The first
// line is
// "# dpll candidates, classes = C, count = N, sha256 = …".
void write_candidates(const std::string& path, const CandidateSets& sets);
// Error(data) naming file, line and what is wrong: wrong count or class count, label out of range, empty row,
// hash that does not match.
CandidateSets read_candidates(const std::string& path, std::int64_t expected_count, int expected_classes);

// Hex SHA-256 over count, classes and the sets as bytes (one 0/1 byte per label, row-major).
std::string candidates_sha256(const CandidateSets& sets);
// Samples whose set misses the true label; labels of -1 are not counted.
std::int64_t count_missing_truth(const CandidateSets& sets, const std::vector<std::int32_t>& labels);

}  // namespace dpll
