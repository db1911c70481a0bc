// SCL-EXP: the exponential surrogate for complementary labels. Chou, Niu, Lin, Sugiyama: Unbiased Risk
// Estimators Can Mislead: A Case Study of Learning with Complementary Labels, ICML 2020.
//
//   loss  the mean over the batch's pairs (sample, y not in S) of (1/V) sum_v exp(p_vy)
//   row   norm_S(p_0), which the loss does not use
// Pairs are explained in of_pairs.h.
#pragma once

#include "objectives/of_pairs.h"

namespace dpll {

struct SclExp final : objectives::OfPairs<SclExp> {
  static constexpr objectives::About about = {
      "scl_exp",
      "Chou et al.: Unbiased Risk Estimators Can Mislead: A Case Study of Learning with Complementary "
      "Labels, "
      "ICML 2020",
      "L = the mean over the batch's pairs (sample, y not in S) of exp(p_y)"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const SclExp&) const = default;

  template <typename Group>
  DPLL_HD_MEMBER double loss(const Group& g, const objectives::ViewOutput& out, double weight, double* slope,
                             double* /*scratch*/) const {
    double loss = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      const double of_pair = g.in_set(k) ? 0 : weight * exp(out.p[k]);
      loss += of_pair;
      slope[k] = of_pair * out.p[k];
    }
    return g.sum(loss);
  }
};

}  // namespace dpll
