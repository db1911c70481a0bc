// The weights of all labels that LWS and LWC keep for a sample, and their rows.
//
// For a sample with candidates S of K classes:
//   kept row  w_j = 1/K at first; then w_j <- p_0j / sum_S p_0 on S, p_0j / sum_{not S} p_0 off S
//   row       norm_S(p_0), which is w on S
// No gradient goes through w. The published code makes the new rows from a second forward pass after the
// update of the weights: objective.update = after. Both are softmaxes over their labels, so that they exist
// however small the probabilities are, where the published code adds 1e-8 to each in the sums; a set of all
// labels has no others.
#pragma once

#include "objectives/of_probabilities.h"

namespace dpll::objectives {

struct LeveragedWeights : PlainMethod {
  bool operator==(const LeveragedWeights&) const = default;
  static constexpr int kept_rows = 1;
  double first_kept(int /*row*/, bool /*in_set*/, int /*candidates*/, int classes) const {
    return 1.0 / classes;
  }
};

// The new rows. weight, others, kept: [classes]
template <typename Group>
DPLL_HD void set_leveraged_weights(const Group& g, Outcome& outcome, double* weight, double* others,
                                   double* kept) {
  outcome.row = weak_view_on_candidates(g, weight);
  outcome.weight = weight;
  const NewRow off = softmax_over(
      g, others, [&](int k) { return !g.in_set(k); }, [&](int k) { return g.logit(0, k); }, 1);
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    kept[k] = g.in_set(k) ? weight[k] / outcome.row.total : others[k] / off.total;
  }
  outcome.kept[0] = kept;
}

}  // namespace dpll::objectives
