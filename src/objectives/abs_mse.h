// ABS-MSE: the average over the candidates of the mean square error,
//   l_j = ||e_j - p||^2
// What the average is, its source and its row are in average_loss.h.
#pragma once

#include "objectives/average_loss.h"

namespace dpll {

struct AbsMse final : objectives::AverageLoss<AbsMse> {
  static constexpr objectives::About about = {
      "abs_mse", "Lv et al.: On the Robustness of Average Losses for Partial-Label Learning, IEEE TPAMI 2024",
      "L = (1/s) sum_{j in S} ||e_j - p||^2"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const AbsMse&) const = default;

  DPLL_HD_MEMBER objectives::SquaredError label_loss() const { return {}; }
};

}  // namespace dpll
