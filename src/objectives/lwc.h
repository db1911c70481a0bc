// LWC: LWS with the cross entropy in place of the sigmoid loss. Wen, Cui, Hang, Liu, Wang, Lin: Leveraged
// Weighted Loss for Partial Label Learning, ICML 2021, equation 3 with the cross entropy.
//
// For sample i with candidates S, kept row w over all labels and p_v = softmax(logits of view v):
//   loss  article:    L = -(1/V) sum_v [ sum_{j in S} w_j log p_vj + beta sum_{j not in S} w_j log(1 - p_vj)
//   ]
//         published:  log(p + 1e-8) and log(1 - p + 1e-8)
// The rows are in leveraged_weights.h. The article's loss is not bounded: in logs it is finite where p or
// 1 - p is too small for a number.
#pragma once

#include "objectives/leveraged_weights.h"

namespace dpll {

struct Lwc final : objectives::LeveragedWeights {
  ObjectiveVariant variant = ObjectiveVariant::article;
  double beta = 2;

  static constexpr objectives::About about = {
      "lwc", "Wen et al.: Leveraged Weighted Loss for Partial Label Learning, ICML 2021",
      "L = -sum_{j in S} w_j log p_j - beta sum_{j not in S} w_j log(1 - p_j);  w <- p normalised on S and "
      "off S"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant,
               "logs as in the article or of numbers that 1e-8 is added to, as published");
    key.real("beta", beta, 0, 1e6, "weight of the labels that are no candidates");
  }
  bool operator==(const Lwc&) const = default;

  static constexpr bool loss_uses_row = true;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 4; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const p = g.scratch(0);
    double* const log_p = g.scratch(1);
    double* const slope = g.scratch(2);
    double* const scratch = g.scratch(3);
    const bool published = variant == ObjectiveVariant::published;
    const double margin = published ? 1e-8 : 0;
    Outcome outcome;
    for (int v = 0; v < g.views(); ++v) {
      const ViewOutput out = output_of(g, v, p, log_p);
      if (v == 0) outcome.predicted = out.softmax.top;
      double candidates = 0;
      for (int k = g.first(); k < g.classes(); k += g.stride()) {
        slope[k] = 0;
        if (!g.in_set(k)) continue;
        const double w = g.kept(0, k);
        candidates -= w * (published ? log(p[k] + margin) : log_p[k]);
        slope[k] = published ? -w * p[k] / (p[k] + margin) : -w;
      }
      const double others = log_of_complements(
          g, out, margin, [&](int k) { return g.in_set(k) ? 0 : beta * g.kept(0, k); }, slope, scratch);
      outcome.total += (g.sum(candidates) + others) / g.views();
      set_view_gradient(g, out, slope, g.gradient_scale() / g.views());
    }
    set_leveraged_weights(g, outcome, p, log_p, slope);
    return outcome;
  }
};

}  // namespace dpll
