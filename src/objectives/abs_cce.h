// ABS-CCE: the average over the candidates of the cross entropy,
//   l_j = -log p_j
// What the average is, its source and its row are in average_loss.h.
// Its minimum is p = 1/s on S: it makes no difference between candidates.
#pragma once

#include "objectives/average_loss.h"

namespace dpll {

struct AbsCce final : objectives::AverageLoss<AbsCce> {
  static constexpr objectives::About about = {
      "abs_cce", "Lv et al.: On the Robustness of Average Losses for Partial-Label Learning, IEEE TPAMI 2024",
      "L = -(1/s) sum_{j in S} log p_j"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const AbsCce&) const = default;

  DPLL_HD_MEMBER objectives::CategoricalCrossEntropy label_loss() const { return {}; }
};

}  // namespace dpll
