// ABS-PHUBER: the average over the candidates of the partially Huberised cross entropy,
//   l_j = -log p_j where p_j > h, else -log h - p_j / h + 1; h = 0.1 in the published code
// What the average is, its source and its row are in average_loss.h.
#pragma once

#include "objectives/average_loss.h"

namespace dpll {

struct AbsPhuber final : objectives::AverageLoss<AbsPhuber> {
  double truncation = 0.1;

  static constexpr objectives::About about = {
      "abs_phuber",
      "Lv et al.: On the Robustness of Average Losses for Partial-Label Learning, IEEE TPAMI 2024",
      "L = (1/s) sum_{j in S} l_j, l_j = -log p_j where p_j > h, else -log h - p_j / h + 1"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.real("truncation", truncation, 1e-6, 0.999, "h: where the cross entropy becomes a line");
  }
  bool operator==(const AbsPhuber&) const = default;

  DPLL_HD_MEMBER objectives::PartiallyHuberised label_loss() const { return {truncation}; }
};

}  // namespace dpll
