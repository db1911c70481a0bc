// MCL with an upper bound of the risk, a function of the candidates' probability. Feng, Kaneko, Han, Niu, An,
// Sugiyama: Learning with Multiple Complementary Labels, ICML 2020.
//
// For a sample with s candidates S of K classes, p_v = softmax(logits of view v) and P_v = sum_{j in S} p_vj:
//   loss  L = (1/V) sum_v ((K - 1) / (K - s)) l(P_v)       exp: l = exp(-P);  mcl_log: l = -log P
//   row   norm_S(p_0), which the loss does not use
// s = K has no complementary label: by the formula a division by 0. Such a sample adds nothing, and
// "undefined" counts it.
#pragma once

#include <array>

#include "objectives/of_probabilities.h"

namespace dpll::objectives {

// M has bound(log P), l and dl / dlog P.
template <typename M>
struct BoundedComplementary : OfProbabilities<M> {
  bool operator==(const BoundedComplementary&) const = default;
  static constexpr std::array<const char*, kMethodMetrics> metric_names = {"undefined"};
  struct Bound {
    double value, slope;
  };

  template <typename Group>
  DPLL_HD_MEMBER double weight(const Group& g) const {
    const int complementary = g.classes() - set_size(g);
    return complementary == 0 ? 0 : (g.classes() - 1.0) / complementary;
  }
  template <typename Group>
  DPLL_HD_MEMBER double loss(const Group& g, const ViewOutput& out, double weight, double* slope,
                             double* scratch) const {
    const NewRow mass = mass_of_candidates(g, out, scratch);
    const auto bound = static_cast<const M&>(*this).bound(mass.log_sum);
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      slope[k] = weight * bound.slope * scratch[k] / mass.total;
    }
    return weight * bound.value;
  }
};

}  // namespace dpll::objectives
