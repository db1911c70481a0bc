// Forward: the probability of a complementary label by the matrix of how they are drawn. Yu, Liu, Gong, Tao:
// Learning with Biased Complementary Labels, ECCV 2018, with the uniform matrix Q = (1 - I) / (K - 1).
//
//   loss  the mean over the batch's pairs (sample, y not in S) of -(1/V) sum_v log (Q^T p_v)_y,
//         which is -log((1 - p_vy) / (K - 1))
//   row   norm_S(p_0), which the loss does not use
// Pairs are explained in of_pairs.h. The article's Q may be estimated and then is not uniform; PLENCH's is
// this one. Its code takes the log of a probability that may have become 0; here it is finite.
#pragma once

#include "objectives/of_pairs.h"

namespace dpll {

struct ForwardCorrection final : objectives::OfPairs<ForwardCorrection> {
  static constexpr objectives::About about = {
      "forward", "Yu, Liu, Gong, Tao: Learning with Biased Complementary Labels, ECCV 2018",
      "L = the mean over the batch's pairs (sample, y not in S) of -log((1 - p_y) / (K - 1))"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const ForwardCorrection&) const = default;

  template <typename Group>
  DPLL_HD_MEMBER double loss(const Group& g, const objectives::ViewOutput& out, double weight, double* slope,
                             double* scratch) const {
    double pairs = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      slope[k] = 0;
      pairs += g.in_set(k) ? 0 : 1;
    }
    pairs = g.sum(pairs);
    const double complements = objectives::log_of_complements(
        g, out, 0, [&](int k) { return g.in_set(k) ? 0 : weight; }, slope, scratch);
    return complements + weight * pairs * log(g.classes() - 1.0);
  }
};

}  // namespace dpll
