// EXP, MCL-EXP: the exponential bound of the risk from complementary labels, which is between 1/e and 1. What
// a bound is, its source, its row and what s = K is are in bounded_complementary.h.
#pragma once

#include "objectives/bounded_complementary.h"

namespace dpll {

struct MclExp final : objectives::BoundedComplementary<MclExp> {
  static constexpr objectives::About about = {
      "exp", "Feng et al.: Learning with Multiple Complementary Labels, ICML 2020",
      "L = ((K - 1) / (K - s)) exp(-sum_{j in S} p_j)"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const MclExp&) const = default;

  DPLL_HD_MEMBER Bound bound(double log_mass) const {
    const double mass = exp(log_mass), value = exp(-mass);
    return {value, -mass * value};
  }
};

}  // namespace dpll
