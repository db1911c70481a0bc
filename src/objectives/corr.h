// CORR: PLCR with one strong view, the supervised term on both and no weight that grows: what RECORDS is
// built on. Hong, Feng, Xu, Zhang, Yao, Zhang, Wang: Long-Tailed Partial Label Learning via Dynamic
// Rebalancing, ICLR 2023; the method is Wu, Wang, Zhang's (plcr.h).
//
// For sample i with candidates S, stored row t (a distribution on S, at first uniform) and p_v =
// softmax(logits of view v):
//   supervised   L_sup = -sum_v sum_{j not in S} log(1 - p_vj + 1e-9)
//                published: over j with t_j = 0, among which is a candidate whose share has vanished
//   consistency  L_con = sum_v KL(t || p_v)
//   loss         L = L_sup + L_con
//   new row      t <- normalise((prod_v p_v)^(1/V) on S);  published: where t > 0, so that a share that has
//                vanished stays 0
// The row is a softmax over its classes, where the published code adds 1e-9 to the sum that it divides by.
#pragma once

#include <array>

#include "objectives/of_probabilities.h"

namespace dpll {

struct Corr final {
  ObjectiveVariant variant = ObjectiveVariant::article;

  static constexpr objectives::About about = {
      "corr", "Hong et al.: Long-Tailed Partial Label Learning via Dynamic Rebalancing, ICLR 2023",
      "L = sum_v [ -sum_{j not in S} log(1 - p_vj) + KL(t || p_v) ];  t <- norm_S((prod_v p_v)^(1/V))"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant,
               "a candidate whose share has become 0 is one still (article) or no longer (published)");
  }
  bool operator==(const Corr&) const = default;

  static constexpr bool loss_uses_row = true;
  static constexpr std::array<const char*, kMethodScalars> scalar_names = {};
  std::array<double, kMethodScalars> scalars(const Moment&) const { return {}; }
  static constexpr int strong_views = 1;
  static constexpr bool has_terms = true;
  static constexpr bool needs_labels = false;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 4; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const p = g.scratch(0);
    double* const log_p = g.scratch(1);
    double* const slope = g.scratch(2);
    double* const log_sum = g.scratch(3);
    const bool published = variant == ObjectiveVariant::published;
    const auto member = [&](int k) { return published ? g.row(k) > 0 : g.in_set(k); };
    double negative_entropy = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      log_sum[k] = 0;
      if (const double t = g.row(k); t > 0) negative_entropy += t * log(t);
    }
    negative_entropy = g.sum(negative_entropy);
    Outcome outcome;
    for (int v = 0; v < g.views(); ++v) {
      const ViewOutput out = output_of(g, v, p, log_p);
      if (v == 0) outcome.predicted = out.softmax.top;
      const double entropy = row_cross_entropy(
          g, out, [&](int k) { return g.row(k); }, slope);
      outcome.consistency += negative_entropy + entropy;
      outcome.supervised += log_of_complements(
          g, out, 1e-9, [&](int k) { return member(k) ? 0.0 : 1.0; }, slope, nullptr);
      set_view_gradient(g, out, slope, g.gradient_scale());
      for (int k = g.first(); k < g.classes(); k += g.stride()) log_sum[k] += log_p[k];
    }
    outcome.total = outcome.supervised + outcome.consistency;
    outcome.row = softmax_over(
        g, slope, member, [&](int k) { return log_sum[k]; }, g.views());
    outcome.weight = slope;
    return outcome;
  }
};

}  // namespace dpll
