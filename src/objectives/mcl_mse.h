// MCL-MSE: the unbiased estimate from complementary labels with the mean square error,
//   l_j = ||e_j - p||^2
// The estimate, its source and its row are in multiple_complementary.h. PLENCH has another estimate for it:
// variant = published.
#pragma once

#include "objectives/multiple_complementary.h"

namespace dpll {

struct MclMse final : objectives::MultipleComplementary<MclMse> {
  ObjectiveVariant variant = ObjectiveVariant::article;

  static constexpr objectives::About about = {
      "mcl_mse", "Feng et al.: Learning with Multiple Complementary Labels, ICML 2020",
      "L = sum_{j in S} l_j - ((s - 1) / (K - s)) sum_{j not in S} l_j, l_j = ||e_j - p||^2"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant,
               "other labels' losses are multiplied by (s - 1) / c (article) or divide it (published)");
  }
  bool operator==(const MclMse&) const = default;

  DPLL_HD_MEMBER objectives::SquaredError label_loss() const { return {}; }
  DPLL_HD_MEMBER ObjectiveVariant variant_of_estimate() const { return variant; }
};

}  // namespace dpll
