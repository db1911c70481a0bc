// NN: the unbiased risk of complementary labels, each class's part held above a bound. The formula's parts
// are in complementary_risk.h.
//
//   loss  L = sum_k max(L_k, -beta)      no gradient where the bound holds
//   row   norm_S(p_0), which the loss does not use
#pragma once

#include <array>
#include <vector>

#include "objectives/complementary_risk.h"

namespace dpll {

struct NonNegativeRisk final {
  ObjectiveVariant variant = ObjectiveVariant::article;
  double beta = 0;

  static constexpr objectives::About about = {
      "nn", "Ishida et al.: Complementary-Label Learning for Arbitrary Losses and Models, ICML 2019",
      "L = sum_k max(L_k, -beta), L_k = sum_j pi_j mean_{y=j} l_k - (K-1) pi_k mean_{y=k} l_k"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant, "weights of the groups as in the article or as in the published code");
    key.real("beta", beta, 0, 1e6, "how far below 0 a class's part of the risk may fall");
  }
  bool operator==(const NonNegativeRisk&) const = default;

  static constexpr std::array<const char*, kMethodScalars> scalar_names = {};
  std::array<double, kMethodScalars> scalars(const Moment&) const { return {}; }
  static constexpr std::array<const char*, kMethodMetrics> metric_names = {"risk"};
  static constexpr int strong_views = 0;
  static constexpr bool has_terms = false;
  static constexpr bool needs_labels = false;

  static constexpr bool has_class_values = true;
  template <typename Sets>
  std::vector<double> class_values(const Sets& sets) const {
    return objectives::ComplementaryRisk::shares(sets);
  }

  static constexpr int rounds = objectives::ComplementaryRisk::kRounds;
  static int round_sums(int round, int classes) {
    return objectives::ComplementaryRisk::round_sums(round, classes);
  }
  template <typename Group>
  DPLL_HD_MEMBER void prepare(int round, const Group& g) const {
    objectives::ComplementaryRisk{variant}.prepare(round, g);
  }
  template <typename Group>
  DPLL_HD_MEMBER double term(int round, const Group& g, int index) const {
    return objectives::ComplementaryRisk{variant}.term(round, g, index);
  }
  DPLL_HD_MEMBER static constexpr int scratch_arrays(int views) {
    return objectives::ComplementaryRisk::scratch_arrays(views);
  }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    const objectives::ComplementaryRisk estimate{variant};
    double active = 0;
    auto outcome = estimate.finish(g, [&](int k) { return estimate.risk(g, k) > -beta ? 1.0 : 0.0; });
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      active += estimate.risk(g, k) > -beta ? 0 : -beta;
    }
    outcome.total += g.sum(active);
    return outcome;
  }
};

}  // namespace dpll
