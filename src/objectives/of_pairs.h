// What methods share that learn from complementary labels: every class outside of a sample's candidate set
// is one, and the loss is the mean over all pairs (sample, complementary label) of the batch, so that a
// sample with a small set weighs more. With B samples and n pairs in the batch, a sample's loss is B / n
// times the sum over its pairs: its mean over the samples is the mean over the pairs. A batch without pairs
// has loss 0.
#pragma once

#include "objectives/of_probabilities.h"

namespace dpll::objectives {

// One round: n.
template <typename M>
struct OfPairs : OfProbabilities<M> {
  bool operator==(const OfPairs&) const = default;
  static constexpr int rounds = 1;
  static constexpr bool keeps_prepared = false;
  static int round_sums(int /*round*/, int /*classes*/) { return 1; }

  template <typename Group>
  DPLL_HD_MEMBER void prepare(int /*round*/, const Group& g) const {
    const int pairs = g.classes() - set_size(g);
    if (g.first() == 0) g.scratch(0)[0] = pairs;
  }
  template <typename Group>
  DPLL_HD_MEMBER double term(int /*round*/, const Group& g, int /*index*/) const {
    return g.scratch(0)[0];
  }
  template <typename Group>
  DPLL_HD_MEMBER double weight(const Group& g) const {
    const double pairs = g.batch_sum(0);
    return pairs > 0 ? g.batch() / pairs : 0;
  }
};

}  // namespace dpll::objectives
