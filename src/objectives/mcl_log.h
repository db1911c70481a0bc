// MCL-LOG: the logarithmic bound of the risk from complementary labels. What a bound is, its source, its row
// and what s = K is are in bounded_complementary.h.
#pragma once

#include "objectives/bounded_complementary.h"

namespace dpll {

struct MclLog final : objectives::BoundedComplementary<MclLog> {
  static constexpr objectives::About about = {
      "mcl_log", "Feng et al.: Learning with Multiple Complementary Labels, ICML 2020",
      "L = -((K - 1) / (K - s)) log sum_{j in S} p_j"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const MclLog&) const = default;

  DPLL_HD_MEMBER Bound bound(double log_mass) const { return {-log_mass, -1}; }
};

}  // namespace dpll
