// CC, the classifier-consistent method: the likelihood of the candidate set. Feng, Lv, Han, Xu, Niu, Geng,
// An, Sugiyama: Provably Consistent Partial-Label Learning, NeurIPS 2020.
//
// For a sample with candidates S and p_v = softmax(logits of view v):
//   loss  L = -(1/V) sum_v log sum_{j in S} p_vj
//   row   norm_S(p_0), which the loss does not use
// In logs: the set's log-sum-exp minus that of all classes, finite however small the probabilities are, where
// the published code takes the log of a sum that may have become 0.
#pragma once

#include "objectives/of_probabilities.h"

namespace dpll {

struct Cc final : objectives::OfProbabilities<Cc> {
  static constexpr objectives::About about = {
      "cc", "Feng et al.: Provably Consistent Partial-Label Learning, NeurIPS 2020",
      "L = -log sum_{j in S} p_j"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const Cc&) const = default;

  template <typename Group>
  DPLL_HD_MEMBER double loss(const Group& g, const objectives::ViewOutput& out, double /*weight*/,
                             double* slope, double* scratch) const {
    const objectives::NewRow mass = objectives::mass_of_candidates(g, out, scratch);
    for (int k = g.first(); k < g.classes(); k += g.stride()) slope[k] = -scratch[k] / mass.total;
    return -mass.log_sum;
  }
};

}  // namespace dpll
