// ABS: the average of a label's loss over the candidates. Lv, Liu, Feng, Xu, Xu, An, Niu, Geng, Sugiyama: On
// the Robustness of Average Losses for Partial-Label Learning, IEEE TPAMI 2024.
//
// For a sample with candidates S, s of them, and p_v = softmax(logits of view v):
//   loss  L = (1/V) sum_v (1/s) sum_{j in S} l_j(p_v)
//   row   norm_S(p_0), which the loss does not use
// The losses l_j are in label_losses.h.
#pragma once

#include "objectives/label_losses.h"

namespace dpll::objectives {

// M has label_loss().
template <typename M>
struct AverageLoss : OfProbabilities<M> {
  bool operator==(const AverageLoss&) const = default;
  template <typename Group>
  DPLL_HD_MEMBER double weight(const Group& g) const {
    return 1.0 / set_size(g);
  }
  template <typename Group>
  DPLL_HD_MEMBER double loss(const Group& g, const ViewOutput& out, double weight, double* slope,
                             double* /*scratch*/) const {
    const auto loss = static_cast<const M&>(*this).label_loss();
    slopes_of_losses(loss, g, out, weight, 0, 1, slope);
    return weight * sums_of_losses(loss, g, out).candidates;
  }
};

}  // namespace dpll::objectives
