// POP: PRODEN whose candidate sets shrink. Xu, Liu, Lv, Qiao, Geng: Progressive Purification for
// Instance-Dependent Partial Label Learning, ICML 2023, algorithm 1, with the constants of the published
// code.
//
// For sample i with candidates S, stored row t (a distribution on S, at first uniform) and p_v =
// softmax(logits of view v):
//   loss     L = -(1/V) sum_v sum_j t_j log p_vj
//   new row  t <- normalise(p_0 where t > 0)
// At the end of an epoch the table goes into a window of the last `window` epochs. In the epochs (from 0)
// that `window` divides, from warm_up on: m = the window's mean, normalised; a candidate with m_j / max m <
// theta leaves S; t <- normalise(m on S); and theta grows by the share `increase` while it is below 0.4 and
// fewer than one in 10,000 entries of the table of candidates changed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "objectives/epoch_hook.h"
#include "objectives/sample.h"

namespace dpll {

struct Pop final {
  double theta = 1e-3;
  double increase = 1e-3;
  int warm_up = 20;
  int window = 5;

  static constexpr objectives::About about = {
      "pop", "Xu et al.: Progressive Purification for Instance-Dependent Partial Label Learning, ICML 2023",
      "L = -sum_j t_j log p_j;  t <- p normalised where t > 0;  S loses classes with m_j / max m < theta"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.real("theta", theta, 0, 1, "a candidate leaves its set below this share of the largest mean");
    key.real("increase", increase, 0, 1, "by what share theta grows when the sets have settled");
    key.integer("warm_up", warm_up, 0, 1'000'000, "epochs before candidates leave their sets");
    key.integer("window", window, 1, 100, "epochs in the mean, and between two purifications");
  }
  bool operator==(const Pop&) const = default;

  static constexpr bool loss_uses_row = true;
  static constexpr std::array<const char*, kMethodScalars> scalar_names = {};
  std::array<double, kMethodScalars> scalars(const Moment&) const { return {}; }
  static constexpr int strong_views = 2;
  static constexpr bool has_terms = false;
  static constexpr bool needs_labels = false;

  // pop.cpp
  std::unique_ptr<EpochHook> make_hook(std::int64_t samples, int classes) const;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int views) { return views + 2; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const log_sum = g.scratch(g.views());
    double* const weight = g.scratch(g.views() + 1);
    Outcome outcome;
    outcome.predicted = softmax_of_views(g, log_sum).top;
    outcome.total = cross_entropy(g, log_sum, [&](int k) { return g.row(k); });
    outcome.row = softmax_over(
        g, weight, [&](int k) { return g.row(k) > 0; }, [&](int k) { return g.logit(0, k); }, 1);
    outcome.weight = weight;
    return outcome;
  }
};

}  // namespace dpll
