// SCARCE: one against the rest, from complementary labels, with parts of the risk that cannot become
// negative. Wang, Ishida, Zhang, Niu, Sugiyama: Learning with Complementary Labels Revisited: The
// Selected-Completely-at-Random Setting Is More Practical, ICML 2024, as its published code has it: logistic
// loss, class priors 1/K and the absolute value as the correction.
//
// A batch is the list of all pairs (sample, y not in S), and with l(z) = log(1 + exp(-z)):
//   l_k(i) = (1/V) sum_v l(f_vk),   l'_k(i) = (1/V) sum_v l(-f_vk)      of sample i
//   N_k    = (1 - 1/K) mean_{pairs with k} l'_k
//   P_k    = mean over the batch of l_k - (1 - 1/K) mean_{pairs with k} l_k
//   loss   L = sum_k N_k + sum_k |P_k|          a label without a pair: both means over its pairs are 0
//   row    norm_S(p_0), which the loss does not use
// "risk" is sum_k N_k + sum_k P_k, which estimates the risk without bias. The published code has one
// complementary label a sample.
#pragma once

#include <array>

#include "objectives/of_probabilities.h"

namespace dpll {

struct Scarce final : objectives::PlainMethod {
  static constexpr objectives::About about = {
      "scarce", "Wang et al.: Learning with Complementary Labels Revisited, ICML 2024",
      "L = sum_k (1 - 1/K) mean_{y=k} l(-f_k) + sum_k |mean l(f_k) - (1 - 1/K) mean_{y=k} l(f_k)|, "
      "l(z) = log(1 + exp(-z))"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const Scarce&) const = default;

  static constexpr std::array<const char*, kMethodMetrics> metric_names = {"risk"};

  // One round, of each class: its pairs, sum_i l_k, and over the pairs sum l_k and sum l'_k.
  static constexpr int rounds = 1;
  static constexpr bool keeps_prepared = false;
  static int round_sums(int /*round*/, int classes) { return 4 * classes; }

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 2; }

  template <typename Group>
  DPLL_HD_MEMBER void prepare(int /*round*/, const Group& g) const {
    double* const positive = g.scratch(0);
    double* const negative = g.scratch(1);
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      positive[k] = negative[k] = 0;
      for (int v = 0; v < g.views(); ++v) {
        const double z = g.logit(v, k), small = log1p(exp(-fabs(z)));
        positive[k] += (small + (z < 0 ? -z : 0)) / g.views();
        negative[k] += (small + (z > 0 ? z : 0)) / g.views();
      }
    }
  }

  template <typename Group>
  DPLL_HD_MEMBER double term(int /*round*/, const Group& g, int index) const {
    const int kind = index / g.classes(), k = index % g.classes();
    if (kind == 1) return g.scratch(0)[k];
    if (g.in_set(k)) return 0;
    return kind == 0 ? 1 : g.scratch(kind == 2 ? 0 : 1)[k];
  }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    const int classes = g.classes();
    const double share = 1 - 1.0 / classes, scale = g.gradient_scale() / g.views();
    double loss = 0, risk = 0;
    Top top;
    for (int k = g.first(); k < classes; k += g.stride()) {
      const double pairs = g.batch_sum(k), of_pair = pairs > 0 ? share / pairs : 0;
      const double negative = of_pair * g.batch_sum(3 * classes + k);
      const double positive = g.batch_sum(classes + k) / g.batch() - of_pair * g.batch_sum(2 * classes + k);
      loss += negative + fabs(positive);
      risk += negative + positive;
      // Gradients of the batch's loss, while gradient_scale() is for a sample's.
      double of_positive = 1, of_negative = 0;
      if (!g.in_set(k)) {
        of_positive -= g.batch() * of_pair;
        of_negative = g.batch() * of_pair;
      }
      if (positive <= 0) of_positive = positive < 0 ? -of_positive : 0;
      for (int v = 0; v < g.views(); ++v) {
        const double z = g.logit(v, k);
        g.set_gradient(v, k, scale * (of_negative * sigmoid(z) - of_positive * sigmoid(-z)));
      }
      top = larger(top, {g.logit(0, k), k});
    }
    Outcome outcome;
    outcome.total = g.sum(loss);
    outcome.measured[0] = g.sum(risk);
    outcome.predicted = g.largest(top).index;
    double* const weight = g.scratch(0);
    outcome.row = weak_view_on_candidates(g, weight);
    outcome.weight = weight;
    return outcome;
  }
};

}  // namespace dpll
