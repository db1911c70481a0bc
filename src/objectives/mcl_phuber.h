// MCL-PHUBER: the unbiased estimate from complementary labels with the partially Huberised cross entropy,
//   l_j = -log p_j where p_j > h, else its tangent
// The estimate, its source and its row are in multiple_complementary.h. PLENCH has no code for it.
#pragma once

#include "objectives/multiple_complementary.h"

namespace dpll {

struct MclPhuber final : objectives::MultipleComplementary<MclPhuber> {
  double truncation = 0.1;

  static constexpr objectives::About about = {
      "mcl_phuber", "Feng et al.: Learning with Multiple Complementary Labels, ICML 2020",
      "L = sum_{j in S} l_j - ((s - 1) / (K - s)) sum_{j not in S} l_j, l_j = -log p_j where p_j > h, else "
      "its tangent"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.real("truncation", truncation, 1e-6, 0.999, "h: where the cross entropy becomes a line");
  }
  bool operator==(const MclPhuber&) const = default;

  DPLL_HD_MEMBER objectives::PartiallyHuberised label_loss() const { return {truncation}; }
  DPLL_HD_MEMBER ObjectiveVariant variant_of_estimate() const { return ObjectiveVariant::article; }
};

}  // namespace dpll
