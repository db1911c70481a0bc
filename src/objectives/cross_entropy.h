// Cross entropy on the true labels: ordinary supervised training, an upper bound with which methods are
// compared.
//
// For a sample with true label y and p_v = softmax(logits of view v):
//   loss  L = -(1/V) sum_v log p_vy       0 where the label is unknown
//   row   normalise(p_0 on S): the network's distribution over the candidates; the loss does not use it
#pragma once

#include <array>

#include "objectives/sample.h"

namespace dpll {

struct CrossEntropyOnTruth {
  static constexpr objectives::About about = {"cross_entropy",
                                              "ordinary supervised training on the true labels",
                                              "L = -log p_y;  t <- norm_S(p), unused by the loss"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const CrossEntropyOnTruth&) const = default;

  static constexpr std::array<const char*, kMethodScalars> scalar_names = {};
  std::array<double, kMethodScalars> scalars(const Moment&) const { return {}; }
  static constexpr int strong_views = 0;
  static constexpr bool has_terms = false;
  static constexpr bool needs_labels = true;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int views) { return views + 2; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    const int views = g.views(), classes = g.classes(), label = g.label();
    double* const log_sum = g.scratch(views);
    double* const weight = g.scratch(views + 1);
    for (int k = g.first(); k < classes; k += g.stride()) log_sum[k] = 0;
    Outcome outcome;
    for (int v = 0; v < views; ++v) {
      const Softmax view = softmax(g, v, g.scratch(v), log_sum);
      if (v == 0) outcome.predicted = view.top;
    }
    double cross_entropy = 0;
    for (int k = g.first(); k < classes; k += g.stride()) {
      if (k == label) cross_entropy -= log_sum[k];
    }
    outcome.total = g.sum(cross_entropy) / views;
    const double scale = label < 0 ? 0 : g.gradient_scale() / views;
    for (int v = 0; v < views; ++v) {
      const double* const p = g.scratch(v);
      for (int k = g.first(); k < classes; k += g.stride()) {
        g.set_gradient(v, k, scale * (p[k] - (k == label ? 1 : 0)));
      }
    }
    outcome.row = softmax_over(
        g, weight, [&](int k) { return g.in_set(k); }, [&](int k) { return g.logit(0, k); }, 1);
    outcome.weight = weight;
    return outcome;
  }
};

}  // namespace dpll
