// ABS-MAE: the average over the candidates of the mean absolute error,
//   l_j = ||e_j - p||_1 = 2 (1 - p_j)
// What the average is, its source and its row are in average_loss.h.
#pragma once

#include "objectives/average_loss.h"

namespace dpll {

struct AbsMae final : objectives::AverageLoss<AbsMae> {
  static constexpr objectives::About about = {
      "abs_mae", "Lv et al.: On the Robustness of Average Losses for Partial-Label Learning, IEEE TPAMI 2024",
      "L = (2/s) sum_{j in S} (1 - p_j)"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const AbsMae&) const = default;

  DPLL_HD_MEMBER objectives::AbsoluteError label_loss() const { return {}; }
};

}  // namespace dpll
