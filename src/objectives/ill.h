// ILL: imprecise label learning with candidate sets: the weak view's own distribution on the candidates
// teaches all views. Chen, Shah, Wang, Tao, Wang, Li, Xie, Sugiyama, Singh, Raj: Imprecise Label Learning: A
// Unified Framework for Learning with Various Imprecise Label Configurations, NeurIPS 2024, as its published
// code has it.
//
// For sample i with candidates S, p_v = softmax(logits of view v) and t = norm_S(p_0), through which no
// gradient goes:
//   supervised   L_sup = -sum_{j not in S} log(1 - p_0j + 2^-23)        weak view only
//   consistency  L_con = -(1/V) sum_v sum_j t_j log p_vj
//   balance      L_bal = -(1/K) sum_k log max(mean over the batch of p_0k, 1e-6)
//   loss         L = L_sup + L_con + balance L_bal         balance = 0, or 0.1 as in the published code's
//   option row          t, which the loss of the next visit does not use
#pragma once

#include <array>

#include "objectives/of_probabilities.h"

namespace dpll {

struct Ill final {
  double balance = 0;

  static constexpr objectives::About about = {
      "ill", "Chen et al.: Imprecise Label Learning, NeurIPS 2024",
      "L = -sum_{j not in S} log(1 - p_0j) - (1/V) sum_v sum_j t_j log p_vj + balance, t = norm_S(p_0)"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.real("balance", balance, 0, 1e6, "weight of the term that wants all classes predicted equally often");
  }
  bool operator==(const Ill&) const = default;

  static constexpr std::array<const char*, kMethodScalars> scalar_names = {};
  std::array<double, kMethodScalars> scalars(const Moment&) const { return {}; }
  static constexpr int strong_views = 2;
  static constexpr bool has_terms = true;
  static constexpr bool needs_labels = false;

  // One round: sum_i p_0k of sample i.
  static constexpr int rounds = 1;
  static constexpr bool keeps_prepared = false;
  static int round_sums(int /*round*/, int classes) { return classes; }
  template <typename Group>
  DPLL_HD_MEMBER void prepare(int /*round*/, const Group& g) const {
    objectives::output_of(g, 0, g.scratch(0), g.scratch(1));
  }
  template <typename Group>
  DPLL_HD_MEMBER double term(int /*round*/, const Group& g, int index) const {
    return g.scratch(0)[index];
  }

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 4; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const p = g.scratch(0);
    double* const log_p = g.scratch(1);
    double* const slope = g.scratch(2);
    double* const target = g.scratch(3);
    Outcome outcome;
    outcome.row = weak_view_on_candidates(g, target);
    outcome.weight = target;
    for (int v = 0; v < g.views(); ++v) {
      const ViewOutput out = output_of(g, v, p, log_p);
      const auto t = [&](int k) { return target[k] / (outcome.row.total * g.views()); };
      outcome.consistency += row_cross_entropy(g, out, t, slope);
      if (v == 0) {
        outcome.predicted = out.softmax.top;
        outcome.supervised = log_of_complements(
            g, out, 0x1p-23, [&](int k) { return g.in_set(k) ? 0.0 : 1.0; }, slope, nullptr);
        if (balance > 0) outcome.total = balance_term(g, out, slope);
      }
      set_view_gradient(g, out, slope, g.gradient_scale());
    }
    outcome.total += outcome.supervised + outcome.consistency;
    return outcome;
  }

 private:
  // L_bal of the batch, the same for each of its samples; its e is added to slope.
  template <typename Group>
  DPLL_HD_MEMBER double balance_term(const Group& g, const objectives::ViewOutput& out, double* slope) const {
    const double weight = balance / g.classes();
    double loss = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      const double mean = g.batch_sum(k) / g.batch();
      loss -= weight * log(mean > 1e-6 ? mean : 1e-6);
      if (mean > 1e-6) slope[k] -= weight * out.p[k] / mean;
    }
    return g.sum(loss);
  }
};

}  // namespace dpll
