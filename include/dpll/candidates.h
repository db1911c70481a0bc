// Candidate label sets: which labels each training sample may have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/config.h"

namespace dpll {

// A bitmask per sample, in 64-bit words: label c of sample i is bit c % 64 of words[i * words_per_row + c /
// 64].
struct CandidateSets {
  std::int64_t count = 0;
  int classes = 0;
  int words_per_row = 0;
  std::vector<std::uint64_t> words;
  // [count, classes], each row a distribution over its set: what targets start from; empty: 1 / |S_i|.
  std::vector<float> weights = {};

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
  void remove(std::int64_t sample, int label) {
    words[static_cast<std::size_t>(sample * words_per_row + label / 64)] &=
        ~(std::uint64_t{1} << (label % 64));
  }
  int size(std::int64_t sample) const;  // |S_i|
  double mean_size() const;
};

// Uniform flipping, bit-identical to the published NumPy code (spec section 6): numpy.random.seed(seed), then
// per sample `classes` draws of binomial(1, rate), then the true label is added. With min_distractors = 1,
// randint(0, classes) draws labels until the set has a wrong one. rate is in [0, 1). Error(config) for other
// rates and numbers of distractors, Error(data) for samples without a true label and fewer than two classes.
CandidateSets uniform_candidates(const std::vector<std::int32_t>& labels, int classes, double rate,
                                 int min_distractors, std::uint32_t seed);

// The models below draw with Philox, keyed by `seed`: u(i, c) is draw c of PhiloxStream(seed,
// Purpose::candidates, 0, i, 0), uniform in [0, 1) with 24 bits, for sample i and every label c. The set of a
// sample therefore depends only on its own label and index. The true label is always in the set; a set need
// not have a wrong label. All models throw Error(data) for samples without a true label in [0, classes).

// What an entry T[y][c] of a label matrix means.
//   inclusion   the probability that c is in the set of a sample of class y, independently of the other
//               labels: c is a candidate if u(i, c) < T[y][c]. Entries in [0, 1], T[y][y] = 1. (Wen et al.,
//               "Leveraged Weighted Loss for Partial Label Learning", ICML 2021: class-dependent q)
//   distractor  the probability that c is the only wrong label of the set; every row sums to 1, and T[y][y]
//               is the probability of a set with only the true label. c is the first label whose cumulative
//               sum exceeds u(i, 0). (The transition matrices of label noise, for example Han et al.,
//               "Co-teaching", NeurIPS 2018.)
struct LabelMatrix {
  int classes = 0;
  std::vector<double> values;  // [classes, classes], row y is the truth
  double at(int truth, int label) const {
    return values[static_cast<std::size_t>(truth) * static_cast<std::size_t>(classes) +
                  static_cast<std::size_t>(label)];
  }
};
// CSV: one line of `classes` numbers for each class; lines that start with # are skipped. Error(data) names
// file, line, row and the mistake: a wrong count, an entry outside [0, 1], a row whose own class is not 1
// (inclusion) or that does not sum to 1 within 1e-6 (distractor).
LabelMatrix read_label_matrix(const std::string& path, int classes, MatrixKind kind);
CandidateSets class_dependent_candidates(const std::vector<std::int32_t>& labels, const LabelMatrix& matrix,
                                         MatrixKind kind, std::uint32_t seed);

// Pair flipping: label (y + 1) mod classes is added to the true label y if u(i, c) < rate. This is the pair
// noise of Han et al. 2018 as candidate sets.
CandidateSets pair_candidates(const std::vector<std::int32_t>& labels, int classes, double rate,
                              std::uint32_t seed);

// Hierarchical: the other labels of the true label's superclass are added if u(i, c) < rate, labels of other
// superclasses never. With CIFAR-100's superclasses this is CIFAR-100-H (Wang et al., "PiCO", ICLR 2022).
CandidateSets hierarchical_candidates(const std::vector<std::int32_t>& labels,
                                      const std::vector<int>& superclass_of_class, double rate,
                                      std::uint32_t seed);
// CSV "class,superclass", one line for each class in order, both are numbers; lines that start with # are
// skipped. Error(data) names file and line; it is also an error if no superclass has two classes.
std::vector<int> read_superclasses(const std::string& path, int classes);
// The superclass (0 to 19) of each of CIFAR-100's classes, in the order of its labels.
const std::vector<int>& cifar100_superclasses();

// Instance-dependent: p is the annotator's softmax of `logits` [samples, classes]. Label c is added to the
// true label y of sample i if u(i, c) < min(1, scale * r_c / mean(r)), with r_c = p_c / max of the p_k other
// than p_y and r_y = 0; the mean is over all classes. Published code: scale 0.4 (section 7 of the method's
// specification). Error(run) names the first sample with a logit that is not finite.
CandidateSets instance_candidates(const std::vector<std::int32_t>& labels, const std::vector<float>& logits,
                                  int classes, double scale, std::uint32_t seed);

// Noise: with probability `rate` the true label is removed from a set. If the set is then empty, one of the
// other labels, drawn uniformly, is added. Draws 0 and 1 of PhiloxStream(seed, Purpose::candidates, 0, i, 1).
// (Noisy partial labels as in Wang et al., "PiCO+", TPAMI 2024.)
void remove_truths(CandidateSets& sets, const std::vector<std::int32_t>& labels, double rate,
                   std::uint32_t seed);

// From a dense 0/1 table [count, classes], or Error(data) naming `source` and the first empty row.
CandidateSets candidates_from_table(const std::vector<std::uint8_t>& table, std::int64_t count, int classes,
                                    const std::string& source);

// CSV. The first line is "# dpll candidates, classes = C, count = N, sha256 = H" with candidates_sha256() as
// H; the second line has the names of the columns; then follows one row per sample. "sample" is the index in
// the source (the whole training file), as in labels.csv. "candidates" has the labels separated by spaces:
// "0,3 17". If the sets are those of a part of the source whose indices are not 0..N-1, a column "position"
// between them counts the samples of the part: "sample,position,candidates". Sets must not be empty.
// Error(run) if the file cannot be written; the old file then remains.
void write_candidates(const std::string& path, const CandidateSets& sets,
                      const std::vector<std::int64_t>& samples);
void write_candidates(const std::string& path, const CandidateSets& sets);  // of a whole source
// Reads the sets of the samples `wanted` (ascending indices in a source of `source_count` samples). The file
// may have the sets of other samples as well. A file without "position" whose samples are 0..wanted.size()-1
// may also contain just the wanted samples in their order; it is read in this way if some of their indices
// are missing. In files made elsewhere ", sha256 = H" may be left out, the text may have any form that
// TextLines allows, and fields may be quoted. Sets need not have the true label. Error(data) names file, line
// and the mistake: a wrong number of classes or rows; samples that are missing, beyond the source or not
// ascending; labels that are out of range or repeated; an empty set; other text; a hash that does not match.
CandidateSets read_candidates(const std::string& path, const std::vector<std::int64_t>& wanted,
                              std::int64_t source_count, int classes);
CandidateSets read_candidates(const std::string& path, std::int64_t count, int classes);  // a whole source

// The weights of the sets `sets` of the samples `wanted` (as for read_candidates()), for
// CandidateSets::weights. A safetensors file has a tensor "weights" [N, classes] of floating-point numbers, a
// row for each sample of the source or for each of the wanted ones. A CSV file has the columns "sample" and
// "weights" (or "posterior", as in labels.csv; others are passed over), with fields such as "0:0.75 3:0.25";
// it may have other samples as well. Rows are divided by their sum. Error(data) names file, sample and the
// mistake: a number that is negative or not finite, a weight of a label outside of the set, a sum that is not
// 1 within 1e-4, a sample without a row.
std::vector<float> read_weights(const std::string& path, const CandidateSets& sets,
                                const std::vector<std::int64_t>& wanted, std::int64_t source_count);

// Are the samples 0, 1, 2, ...? Then the index of a sample in the source is also its position.
bool counts_from_zero(const std::vector<std::int64_t>& samples);

// Hex SHA-256 over count and classes, each as a 64-bit little-endian number, and the sets, one 0/1 byte per
// label, row-major.
std::string candidates_sha256(const CandidateSets& sets);
// Hex SHA-256 over the weights, or "none".
std::string weights_sha256(const CandidateSets& sets);
// The number of samples whose set does not have the true label; labels of -1 are not counted.
std::int64_t count_missing_truth(const CandidateSets& sets, const std::vector<std::int32_t>& labels);

}  // namespace dpll
