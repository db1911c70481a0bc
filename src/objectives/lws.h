// LWS: a loss for every label, weighted by how likely the network finds it among the candidates or among the
// others. Wen, Cui, Hang, Liu, Wang, Lin: Leveraged Weighted Loss for Partial Label Learning, ICML 2021,
// equation 3 with the sigmoid loss.
//
// For sample i with candidates S, kept row w over all labels (1/K at first) and the logits f_v of view v:
//   loss      L = (1/V) sum_v [ sum_{j in S} w_j sigma(-f_vj) + beta sum_{j not in S} w_j sigma(f_vj) ]
//   kept row  w_j <- p_0j / sum_S p_0 on S, p_0j / sum_{not S} p_0 off S
//   row       norm_S(p_0), which is w on S
// No gradient goes through w. The new rows are of the outputs that the loss is of; the published code makes
// them from a second forward pass after the update. Both are softmaxes over their labels, so that they exist
// however small the probabilities are; a set of all labels has no others.
#pragma once

#include <array>

#include "objectives/sample.h"

namespace dpll {

struct Lws {
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

  static constexpr std::array<const char*, kMethodScalars> scalar_names = {};
  std::array<double, kMethodScalars> scalars(const Moment&) const { return {}; }
  static constexpr int strong_views = 0;
  static constexpr bool has_terms = false;
  static constexpr bool needs_labels = false;

  static constexpr int kept_rows = 1;
  double first_kept(int /*row*/, bool /*in_set*/, int /*candidates*/, int classes) const {
    return 1.0 / classes;
  }

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
    outcome.row = weak_view_on_candidates(g, weight);
    outcome.weight = weight;
    const NewRow off = softmax_over(
        g, others, [&](int k) { return !g.in_set(k); }, [&](int k) { return g.logit(0, k); }, 1);
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      kept[k] = g.in_set(k) ? weight[k] / outcome.row.total : others[k] / off.total;
    }
    outcome.kept[0] = kept;
    return outcome;
  }
};

}  // namespace dpll
