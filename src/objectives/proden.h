// PRODEN: cross entropy with a distribution over the candidates that follows the network's own output.
// Lv, Xu, Feng, Niu, Geng, Sugiyama: Progressive Identification of True Labels for Partial-Label Learning,
// ICML 2020.
//
// For sample i with candidates S, stored row t (a distribution on S, at first uniform) and p_v =
// softmax(logits of view v):
//   loss     L = -(1/V) sum_v sum_j t_j log p_vj       V = 1 without strong views, as published
//   new row  article:   t <- normalise(p_0 on S)
//            published: t <- normalise(p_0 where t > 0): a class whose target was once 0 is excluded for good
// The loss uses the old row. The new row comes from the same outputs and is used from the next visit on. No
// gradient goes through t. The row is a softmax over its classes, so it is a distribution even if p_0 is
// extremely small on all of them; the published code divides 0 by 0 in this case.
#pragma once

#include <array>

#include "objectives/sample.h"

namespace dpll {

struct Proden final {
  ObjectiveVariant variant = ObjectiveVariant::article;

  static constexpr objectives::About about = {
      "proden", "Lv et al.: Progressive Identification of True Labels for Partial-Label Learning, ICML 2020",
      "L = -sum_j t_j log p_j;  t <- norm_S(p)"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant,
               "a class whose target has become 0 may return (article) or is excluded for good (published)");
  }
  bool operator==(const Proden&) const = default;

  static constexpr bool loss_uses_row = true;
  static constexpr std::array<const char*, kMethodScalars> scalar_names = {};
  std::array<double, kMethodScalars> scalars(const Moment&) const { return {}; }
  static constexpr int strong_views = 0;
  static constexpr bool has_terms = false;
  static constexpr bool needs_labels = false;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int views) { return views + 2; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const log_sum = g.scratch(g.views());
    double* const weight = g.scratch(g.views() + 1);
    Outcome outcome;
    outcome.predicted = softmax_of_views(g, log_sum).top;
    outcome.total = cross_entropy(g, log_sum, [&](int k) { return g.row(k); });
    const bool stays_out = variant == ObjectiveVariant::published;
    outcome.row = softmax_over(
        g, weight, [&](int k) { return stays_out ? g.row(k) > 0 : g.in_set(k); },
        [&](int k) { return g.logit(0, k); }, 1);
    outcome.weight = weight;
    return outcome;
  }
};

}  // namespace dpll
