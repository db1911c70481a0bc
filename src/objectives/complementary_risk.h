// The unbiased estimate of the risk from labels that are not the true one, which NN and GA keep from becoming
// negative. Ishida, Niu, Menon, Sugiyama: Complementary-Label Learning for Arbitrary Losses and Models, ICML
// 2019, equations 8 and 10. Every class outside of a sample's candidate set is a complementary label of it; a
// batch is the list of all pairs (sample, complementary label).
//
//   l_k(i) = -(1/V) sum_v log p_vk            the loss of sample i if its label were k
//   n_k    pairs with label k in the batch,   pi_k their share in the whole training set
//   article:   L_k = sum_j pi_j mean_{pairs with j} l_k - (K - 1) pi_k mean_{pairs with k} l_k
//   published: L_k = pi_k sum_j mean_{pairs with j} l_k - (K - 1) pi_k mean_{pairs with k} l_k
// which are one where the shares are uniform. Labels that have no pair in the batch are left out. sum_k L_k
// estimates the risk. A sample with all classes as candidates has no pair, and changes nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "objectives/sample.h"

namespace dpll::objectives {

// Two rounds: n_k; then sum_i w_i l_k(i), where w_i is the weight of the sample's pairs together, and the sum
// of l_k over the pairs with label k.
struct ComplementaryRisk {
  ObjectiveVariant variant;

  static constexpr int kRounds = 2;
  DPLL_HD_MEMBER static constexpr int scratch_arrays(int views) { return views + 3; }

  // pi_k. 0 where no set leaves out a class.
  template <typename Sets>
  static std::vector<double> shares(const Sets& sets) {
    std::vector<double> share(static_cast<std::size_t>(sets.classes));
    double pairs = 0;
    for (std::int64_t i = 0; i < sets.count; ++i) {
      for (int k = 0; k < sets.classes; ++k) {
        if (sets.contains(i, k)) continue;
        share[static_cast<std::size_t>(k)] += 1;
        pairs += 1;
      }
    }
    for (double& x : share) x = pairs > 0 ? x / pairs : 0;
    return share;
  }

  static int round_sums(int round, int classes) { return round == 0 ? classes : 2 * classes; }

  template <typename Group>
  DPLL_HD_MEMBER void prepare(int round, const Group& g) const {
    if (round == 0) {
      softmax_of_views(g, log_sum(g));
      return;
    }
    double weight = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      if (!g.in_set(k)) weight += (is_article() ? g.class_value(k) : 1) / pairs(g, k);
    }
    weight = g.sum(weight);
    if (g.first() == 0) *sample_weight(g) = weight;
  }

  template <typename Group>
  DPLL_HD_MEMBER double term(int round, const Group& g, int index) const {
    if (round == 0) return g.in_set(index) ? 0 : 1;
    if (index < g.classes()) return *sample_weight(g) * loss(g, index);
    const int k = index - g.classes();
    return g.in_set(k) ? 0 : loss(g, k);
  }

  // L_k, after the rounds.
  template <typename Group>
  DPLL_HD_MEMBER double risk(const Group& g, int k) const {
    const double all = g.batch_sum(g.classes() + k) * (is_article() ? 1 : g.class_value(k));
    if (pairs(g, k) == 0) return all;
    return all - (g.classes() - 1) * g.class_value(k) * g.batch_sum(2 * g.classes() + k) / pairs(g, k);
  }
  template <typename Group>
  DPLL_HD_MEMBER double pairs(const Group& g, int k) const {
    return g.batch_sum(k);
  }

  // The gradient of sum_k factor(k) L_k, and the sample's row.
  template <typename Group, typename Factor>
  DPLL_HD_MEMBER Outcome finish(const Group& g, const Factor& factor) const {
    double* const slope = g.scratch(g.views() + 1);
    double all = 0, total = 0, estimate = 0;
    Top top;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      double of_sample = *sample_weight(g) * (is_article() ? 1 : g.class_value(k));
      if (!g.in_set(k)) of_sample -= (g.classes() - 1) * g.class_value(k) / pairs(g, k);
      const double share = factor(k);
      slope[k] = share * of_sample;
      all += slope[k];
      total += share * risk(g, k);
      estimate += risk(g, k);
      top = larger(top, {g.logit(0, k), k});
    }
    all = g.sum(all);
    Outcome outcome;
    outcome.total = g.sum(total);
    outcome.measured[0] = g.sum(estimate);
    outcome.predicted = g.largest(top).index;
    const double scale = g.gradient_scale() * g.batch() / g.views();
    for (int v = 0; v < g.views(); ++v) {
      const double* const p = g.scratch(v);
      for (int k = g.first(); k < g.classes(); k += g.stride()) {
        g.set_gradient(v, k, scale * (p[k] * all - slope[k]));
      }
    }
    outcome.row = weak_view_on_candidates(g, slope);
    outcome.weight = slope;
    return outcome;
  }

 private:
  DPLL_HD_MEMBER bool is_article() const { return variant == ObjectiveVariant::article; }
  template <typename Group>
  DPLL_HD_MEMBER static double* log_sum(const Group& g) {
    return g.scratch(g.views());
  }
  template <typename Group>
  DPLL_HD_MEMBER static double* sample_weight(const Group& g) {
    return g.scratch(g.views() + 2);
  }
  template <typename Group>
  DPLL_HD_MEMBER double loss(const Group& g, int k) const {
    return -log_sum(g)[k] / g.views();
  }
};

}  // namespace dpll::objectives
