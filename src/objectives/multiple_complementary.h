// MCL with an unbiased estimate of the risk: what the labels outside of the candidate set, the complementary
// ones, say of a loss of labels. Feng, Kaneko, Han, Niu, An, Sugiyama: Learning with Multiple Complementary
// Labels, ICML 2020.
//
// For a sample with s candidates S of K classes, c = K - s complementary labels and p_v = softmax(logits of
// view v):
//   article    L = (1/V) sum_v [ sum_{j in S} l_j(p_v) - ((s - 1) / c) sum_{j not in S} l_j(p_v) ]
//   published  L = (1/V) sum_v [ sum_{j in S} l_j(p_v) - (s - 1) / (c sum_{j not in S} l_j(p_v) + 1e-20) ]
//   row        norm_S(p_0), which the loss does not use
// The second is what PLENCH's code has, which divides where the estimate multiplies; it is no estimate of the
// risk. s = K has no complementary label: by the formulas a division by 0. Such a sample adds nothing, and
// "undefined" counts it. The losses l_j are in label_losses.h.
#pragma once

#include <array>

#include "objectives/label_losses.h"

namespace dpll::objectives {

// M has label_loss() and variant_of_estimate().
template <typename M>
struct MultipleComplementary : OfProbabilities<M> {
  bool operator==(const MultipleComplementary&) const = default;
  static constexpr std::array<const char*, kMethodMetrics> metric_names = {"undefined"};

  template <typename Group>
  DPLL_HD_MEMBER double weight(const Group& g) const {
    return set_size(g) == g.classes() ? 0 : 1;
  }
  template <typename Group>
  DPLL_HD_MEMBER double loss(const Group& g, const ViewOutput& out, double weight, double* slope,
                             double* /*scratch*/) const {
    const M& method = static_cast<const M&>(*this);
    const auto loss = method.label_loss();
    const int size = set_size(g), complementary = g.classes() - size;
    const LabelSums sums = sums_of_losses(loss, g, out);
    double of_others, value;
    if (method.variant_of_estimate() == ObjectiveVariant::article) {
      of_others = weight == 0 ? 0 : -(size - 1.0) / complementary;
      value = sums.candidates + of_others * sums.others;
    } else {
      const double quotient = complementary * sums.others + 1e-20;
      of_others = weight * complementary * (size - 1.0) / quotient / quotient;
      value = sums.candidates - (size - 1.0) / quotient;
    }
    slopes_of_losses(loss, g, out, weight, of_others, weight * size + of_others * complementary, slope);
    return weight * value;
  }
};

}  // namespace dpll::objectives
