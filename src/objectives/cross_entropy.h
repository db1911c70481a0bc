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

struct CrossEntropyOnTruth final {
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
    const int label = g.label();
    double* const log_sum = g.scratch(g.views());
    double* const weight = g.scratch(g.views() + 1);
    Outcome outcome;
    outcome.predicted = softmax_of_views(g, log_sum).top;
    outcome.total = objectives::cross_entropy(g, log_sum, [&](int k) { return k == label ? 1.0 : 0.0; });
    outcome.row = weak_view_on_candidates(g, weight);
    outcome.weight = weight;
    return outcome;
  }
};

}  // namespace dpll
