// MCL-GCE: the unbiased estimate from complementary labels with the generalized cross entropy,
//   l_j = (1 - p_j^q) / q
// The estimate, its source and its row are in multiple_complementary.h. PLENCH has another estimate for it:
// variant = published.
#pragma once

#include "objectives/multiple_complementary.h"

namespace dpll {

struct MclGce final : objectives::MultipleComplementary<MclGce> {
  ObjectiveVariant variant = ObjectiveVariant::article;
  double q = 0.7;

  static constexpr objectives::About about = {
      "mcl_gce", "Feng et al.: Learning with Multiple Complementary Labels, ICML 2020",
      "L = sum_{j in S} l_j - ((s - 1) / (K - s)) sum_{j not in S} l_j, l_j = (1 - p_j^q) / q"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant,
               "other labels' losses are multiplied by (s - 1) / c (article) or divide it (published)");
    key.real("q", q, 0.001, 1, "exponent: 1 is half of the absolute error, towards 0 the cross entropy");
  }
  bool operator==(const MclGce&) const = default;

  DPLL_HD_MEMBER objectives::GeneralizedCrossEntropy label_loss() const { return {q}; }
  DPLL_HD_MEMBER ObjectiveVariant variant_of_estimate() const { return variant; }
};

}  // namespace dpll
