// LWS: a loss for every label, weighted by how likely the network finds it among the candidates or among the
// others. Wen, Cui, Hang, Liu, Wang, Lin: Leveraged Weighted Loss for Partial Label Learning, ICML 2021,
// equation 3 with the sigmoid loss.
//
// For sample i with candidates S, kept row w over all labels and the logits f_v of view v:
//   loss  L = (1/V) sum_v [ sum_{j in S} w_j sigma(-f_vj) + beta sum_{j not in S} w_j sigma(f_vj) ]
// The rows are in leveraged_weights.h.
#pragma once

#include "objectives/leveraged_weights.h"

namespace dpll {

struct Lws final : objectives::LeveragedWeights {
  double beta = 2;

  static constexpr objectives::About about = {
      "lws", "Wen et al.: Leveraged Weighted Loss for Partial Label Learning, ICML 2021",
      "L = sum_{j in S} w_j sigma(-f_j) + beta sum_{j not in S} w_j sigma(f_j);  w <- p normalised on S and "
      "off S"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.real("beta", beta, 0, 1e6, "weight of the labels that are no candidates");
  }
  bool operator==(const Lws&) const = default;

  static constexpr bool loss_uses_row = true;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 3; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const weight = g.scratch(0);
    double* const others = g.scratch(1);
    double* const kept = g.scratch(2);
    Outcome outcome;
    outcome.predicted = softmax(g, 0, weight, others).top;
    const double scale = g.gradient_scale() / g.views();
    double loss = 0;
    for (int v = 0; v < g.views(); ++v) {
      for (int k = g.first(); k < g.classes(); k += g.stride()) {
        const double z = g.logit(v, k), sign = g.in_set(k) ? -1 : 1;
        const double w = g.kept(0, k) * (g.in_set(k) ? 1 : beta);
        loss += w * sigmoid(sign * z);
        g.set_gradient(v, k, scale * sign * w * sigmoid(z) * sigmoid(-z));
      }
    }
    outcome.total = g.sum(loss) / g.views();
    set_leveraged_weights(g, outcome, weight, others, kept);
    return outcome;
  }
};

}  // namespace dpll
