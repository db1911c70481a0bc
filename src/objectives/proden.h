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

struct Proden {
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

  static constexpr std::array<const char*, kMethodScalars> scalar_names = {};
  std::array<double, kMethodScalars> scalars(const Moment&) const { return {}; }
  static constexpr int strong_views = 0;
  static constexpr bool has_terms = false;
  static constexpr bool needs_labels = false;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int views) { return views + 2; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    const int views = g.views(), classes = g.classes();
    double* const log_sum = g.scratch(views);
    double* const weight = g.scratch(views + 1);
    for (int k = g.first(); k < classes; k += g.stride()) log_sum[k] = 0;
    Outcome outcome;
    for (int v = 0; v < views; ++v) {
      const Softmax view = softmax(g, v, g.scratch(v), log_sum);
      if (v == 0) outcome.predicted = view.top;
    }
    double mass = 0, cross_entropy = 0;
    for (int k = g.first(); k < classes; k += g.stride()) {
      const double t = g.row(k);
      mass += t;
      if (t != 0) cross_entropy -= t * log_sum[k];
    }
    mass = g.sum(mass);
    outcome.total = g.sum(cross_entropy) / views;
    const double scale = g.gradient_scale() / views;
    for (int v = 0; v < views; ++v) {
      const double* const p = g.scratch(v);
      for (int k = g.first(); k < classes; k += g.stride()) {
        g.set_gradient(v, k, scale * (p[k] * mass - g.row(k)));
      }
    }
    const bool stays_out = variant == ObjectiveVariant::published;
    outcome.row = softmax_over(
        g, weight, [&](int k) { return stays_out ? g.row(k) > 0 : g.in_set(k); },
        [&](int k) { return g.logit(0, k); }, 1);
    outcome.weight = weight;
    return outcome;
  }
};

}  // namespace dpll
