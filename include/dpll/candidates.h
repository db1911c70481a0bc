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
// by randint(0, classes) until there is one besides the truth. rate in [0, 1). Error(config) for other rates
// and numbers of distractors, Error(data) for samples without a true label and fewer than two classes.
CandidateSets uniform_candidates(const std::vector<std::int32_t>& labels, int classes, double rate,
                                 int min_distractors, std::uint32_t seed);

// From a dense 0/1 table [count, classes], or Error(data) naming `source` and the first empty row.
CandidateSets candidates_from_table(const std::vector<std::uint8_t>& table, std::int64_t count, int classes,
                                    const std::string& source);

// CSV. The first line is "# dpll candidates, classes = C, count = N, sha256 = H" with candidates_sha256() as
// H, the second "sample,candidates"; then one row per sample in order, for example "0,3 17", labels separated
// by spaces. Sets must not be empty. Error(run) when the file cannot be written; the old file survives.
void write_candidates(const std::string& path, const CandidateSets& sets);
// For files made elsewhere ", sha256 = H" may be left out, and lines may end in CRLF. Sets may miss the
// truth. Error(data) naming file, line and what is wrong: wrong sample or class count, rows out of order,
// labels out of range or given twice, empty sets, anything else in the text, a hash that does not match.
CandidateSets read_candidates(const std::string& path, std::int64_t expected_count, int expected_classes);

// Hex SHA-256 over count and classes, each as a 64-bit little-endian number, and the sets, one 0/1 byte per
// label, row-major.
std::string candidates_sha256(const CandidateSets& sets);
// Samples whose set misses the true label; labels of -1 are not counted.
std::int64_t count_missing_truth(const CandidateSets& sets, const std::vector<std::int32_t>& labels);

}  // namespace dpll
