// GA: the unbiased risk of complementary labels with gradient ascent. The formula's parts are in
// complementary_risk.h.
//
//   no L_k is negative:  L = sum_k L_k
//   otherwise article:   L = -sum_k min(L_k, 0), which raises the negative parts
//             published: L = -sum_k min(n_k L_k, 0)
//   row   norm_S(p_0), which the loss does not use
#pragma once

#include <array>
#include <vector>

#include "objectives/complementary_risk.h"

namespace dpll {

struct GradientAscentRisk final {
  ObjectiveVariant variant = ObjectiveVariant::article;

  static constexpr objectives::About about = {
      "ga", "Ishida et al.: Complementary-Label Learning for Arbitrary Losses and Models, ICML 2019",
      "L = sum_k L_k, or -sum_k min(L_k, 0) where one is negative; L_k as in nn"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant,
               "weights of the groups and of the ascent as in the article or as in the published code");
  }
  bool operator==(const GradientAscentRisk&) const = default;

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
    double negative = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) negative += estimate.risk(g, k) < 0 ? 1 : 0;
    const bool ascends = g.sum(negative) > 0, weighted = variant == ObjectiveVariant::published;
    return estimate.finish(g, [&](int k) {
      if (!ascends) return 1.0;
      return estimate.risk(g, k) < 0 ? -(weighted ? estimate.pairs(g, k) : 1.0) : 0.0;
    });
  }
};

}  // namespace dpll
