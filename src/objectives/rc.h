// RC, the risk-consistent method: cross entropy with the candidates weighed by how likely each one is. Feng,
// Lv, Han, Xu, Niu, Geng, An, Sugiyama: Provably Consistent Partial-Label Learning, NeurIPS 2020.
//
// For sample i with candidates S, stored row t (a distribution on S, at first uniform) and p_v =
// softmax(logits of view v):
//   loss     L = -(1/V) sum_v sum_j t_j log p_vj
//   new row  t <- norm_S(p_0)
// which is the loss and the row of PRODEN as its article has it. The published code takes the row from a
// second forward pass after the update of the weights: objective.update = after.
#pragma once

#include "objectives/of_probabilities.h"

namespace dpll {

struct Rc final : objectives::OfProbabilities<Rc> {
  static constexpr objectives::About about = {
      "rc", "Feng et al.: Provably Consistent Partial-Label Learning, NeurIPS 2020",
      "L = -sum_j t_j log p_j;  t <- norm_S(p)"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const Rc&) const = default;

  static constexpr bool loss_uses_row = true;

  template <typename Group>
  DPLL_HD_MEMBER double weight(const Group&) const {
    return 1;
  }
  template <typename Group>
  DPLL_HD_MEMBER double loss(const Group& g, const objectives::ViewOutput& out, double /*weight*/,
                             double* slope, double* /*scratch*/) const {
    return objectives::row_cross_entropy(
        g, out, [&](int k) { return g.row(k); }, slope);
  }
};

}  // namespace dpll
