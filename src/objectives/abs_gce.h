// ABS-GCE: the average over the candidates of the generalized cross entropy,
//   l_j = (1 - p_j^q) / q, q = 0.7 in the published codes
// What the average is, its source and its row are in average_loss.h.
#pragma once

#include "objectives/average_loss.h"

namespace dpll {

struct AbsGce final : objectives::AverageLoss<AbsGce> {
  double q = 0.7;

  static constexpr objectives::About about = {
      "abs_gce", "Lv et al.: On the Robustness of Average Losses for Partial-Label Learning, IEEE TPAMI 2024",
      "L = (1/s) sum_{j in S} (1 - p_j^q) / q"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.real("q", q, 0.001, 1, "exponent: 1 is half of the absolute error, towards 0 the cross entropy");
  }
  bool operator==(const AbsGce&) const = default;

  DPLL_HD_MEMBER objectives::GeneralizedCrossEntropy label_loss() const { return {q}; }
};

}  // namespace dpll
