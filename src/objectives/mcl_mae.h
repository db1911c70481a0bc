// MCL-MAE: the unbiased estimate from complementary labels with the mean absolute error,
//   l_j = 2 (1 - p_j)
// The estimate, its source and its row are in multiple_complementary.h. PLENCH has no code for it.
#pragma once

#include "objectives/multiple_complementary.h"

namespace dpll {

struct MclMae final : objectives::MultipleComplementary<MclMae> {
  static constexpr objectives::About about = {
      "mcl_mae", "Feng et al.: Learning with Multiple Complementary Labels, ICML 2020",
      "L = sum_{j in S} l_j - ((s - 1) / (K - s)) sum_{j not in S} l_j, l_j = 2 (1 - p_j)"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const MclMae&) const = default;

  DPLL_HD_MEMBER objectives::AbsoluteError label_loss() const { return {}; }
  DPLL_HD_MEMBER ObjectiveVariant variant_of_estimate() const { return ObjectiveVariant::article; }
};

}  // namespace dpll
