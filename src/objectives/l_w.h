// L-W: discriminative learning from complementary labels with a weighted loss. Gao, Zhang: Discriminative
// Complementary-Label Learning with Weighted Loss, ICML 2021.
//
// With q = softmax(1 - p_v), the distribution of complementary labels, and w = (1 - p_v) / (K - 1):
//   loss  the mean over the batch's pairs (sample, y not in S) of -(1/V) sum_v (1 + w_y) log q_y
//   row   norm_S(p_0), which the loss does not use
// The gradient goes through w, as in the published code. Pairs are explained in of_pairs.h. With c_y = 1 +
// w_y and log q_y = -p_y - log sum_k exp(-p_k),
//   dL/dp_j = [j not in S] (log q_j / (K - 1) + c_j) - q_j sum_{y not in S} c_y
#pragma once

#include "objectives/of_pairs.h"

namespace dpll {

struct WeightedComplementary final : objectives::OfPairs<WeightedComplementary> {
  static constexpr objectives::About about = {
      "l_w", "Gao, Zhang: Discriminative Complementary-Label Learning with Weighted Loss, ICML 2021",
      "L = the mean over the batch's pairs (sample, y not in S) of -(1 + w_y) log q_y, q = softmax(1 - p), "
      "w = (1 - p) / (K - 1)"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const WeightedComplementary&) const = default;

  template <typename Group>
  DPLL_HD_MEMBER double loss(const Group& g, const objectives::ViewOutput& out, double weight, double* slope,
                             double* q) const {
    const double others = g.classes() - 1;
    double total = 0, weights = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      q[k] = exp(-out.p[k]);
      total += q[k];
      if (!g.in_set(k)) weights += 1 + out.one_minus(k) / others;
    }
    total = g.sum(total);
    weights = g.sum(weights);
    const double log_total = log(total);
    double loss = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      double of_p = -q[k] / total * weights;
      if (!g.in_set(k)) {
        const double log_q = -out.p[k] - log_total, c = 1 + out.one_minus(k) / others;
        loss -= c * log_q;
        of_p += log_q / others + c;
      }
      slope[k] = weight * out.p[k] * of_p;
    }
    return weight * g.sum(loss);
  }
};

}  // namespace dpll
