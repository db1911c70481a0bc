// PC: pairwise comparison of a complementary label's logit with all others. Ishida, Niu, Hu, Sugiyama:
// Learning from Complementary Labels, NIPS 2017, with the sigmoid loss.
//
//   loss  the mean over the batch's pairs (sample, y not in S) of
//           (1/V) sum_v [ (K - 1) sum_k sigma(f_vy - f_vk) - K (K - 1) / 2 + K - 1 ],   k = y included
//   row   norm_S(p_0), which the loss does not use
// Pairs are explained in of_pairs.h. Since sigma' is even, the gradient of logit j is
//   (K - 1) sum_k sigma'(f_j - f_k) ([j not in S] - [k not in S])
// The cost is quadratic in the number of classes.
#pragma once

#include "objectives/of_pairs.h"

namespace dpll {

struct PairwiseComparison final : objectives::OfPairs<PairwiseComparison> {
  static constexpr objectives::About about = {
      "pc", "Ishida, Niu, Hu, Sugiyama: Learning from Complementary Labels, NIPS 2017",
      "L = the mean over the batch's pairs (sample, y not in S) of (K-1) sum_k sigma(f_y - f_k) - K (K-1) / "
      "2 "
      "+ K - 1"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const PairwiseComparison&) const = default;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 2; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const p = g.scratch(0);
    double* const log_p = g.scratch(1);
    const int others = g.classes() - 1;
    const double pair_weight = this->weight(g);
    const double constant = others - 0.5 * g.classes() * others;
    Outcome outcome;
    for (int v = 0; v < g.views(); ++v) {
      const ViewOutput out = output_of(g, v, p, log_p);
      if (v == 0) outcome.predicted = out.softmax.top;
      const double scale = pair_weight * others + 0 * out.softmax.p_top;  // NaN where a logit is not finite
      double loss = 0;
      for (int j = g.first(); j < g.classes(); j += g.stride()) {
        const bool is_pair = !g.in_set(j);
        double sum = 0, slopes = 0;
        for (int k = 0; k < g.classes(); ++k) {
          const double gap = g.logit(v, j) - g.logit(v, k), small = exp(-fabs(gap)), whole = 1 / (1 + small);
          const bool other_is_pair = !g.in_set(k);
          if (is_pair) sum += gap < 0 ? small * whole : whole;
          if (is_pair != other_is_pair) slopes += small * whole * whole;
        }
        if (is_pair) loss += scale * sum + pair_weight * constant;
        g.set_gradient(v, j, g.gradient_scale() / g.views() * scale * (is_pair ? slopes : -slopes));
      }
      outcome.total += g.sum(loss) / g.views();
    }
    outcome.row = weak_view_on_candidates(g, p);
    outcome.weight = p;
    return outcome;
  }
};

}  // namespace dpll
