// PLCR: consistency of several views with a distribution over the candidates that is refined as it learns.
// Wu, Wang, Zhang: Revisiting Consistency Regularization for Deep Partial Label Learning, ICML 2022,
// equations 3 to 8.
//
// For sample i with candidates S, stored row t (a distribution on S, at first uniform) and p_v =
// softmax(logits of view v):
//   supervised   L_sup = -sum_{j not in S} log(c - p_0j)            weak view only
//                article: c = 1 + 1e-6 (in the compute type);  published: c = 1 + 2^-23
//                (article: the description from which this engine was written; published: the authors' code)
//   consistency  L_con = sum_v KL(t || p_v)                         a sum over views; 0 log 0 = 0
//   loss         L = lambda L_con + L_sup
//   new row      t <- normalise(S * (prod_v p_v)^(1/V)), that is, softmax over S of the mean log-probability
// The loss uses the old row, and no gradient goes through t. Everything is computed from log-probabilities,
// and c - p without cancellation (as c - 1 plus the sum of the other classes' probabilities if p is near 1).
// So all results are finite for any finite logits, also for sets with one candidate and with all classes.
#pragma once

#include <array>

#include "objectives/sample.h"

namespace dpll {

struct Plcr final {
  ObjectiveVariant variant = ObjectiveVariant::article;
  double lambda_max = 1;
  int ramp_epochs = 100;
  RampUnit ramp = RampUnit::epoch;

  static constexpr objectives::About about = {
      "plcr",
      "Wu, Wang, Zhang: Revisiting Consistency Regularization for Deep Partial Label Learning, ICML 2022",
      "L = -sum_{j not in S} log(1 - p_0j) + lambda sum_v KL(t || p_v);  t <- norm_S((prod_v p_v)^(1/V))"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant,
               "constants of the article's description, or of the code that its authors published");
    key.real("lambda_max", lambda_max, 0, 1e6, "final weight of the consistency term");
    key.integer("ramp_epochs", ramp_epochs, 0, 1'000'000,
                "epochs until lambda reaches lambda_max; 0: from the start");
    key.choice(
        "ramp", ramp,
        "lambda grows from epoch to epoch, or from step to step as the share of an epoch that is done");
  }
  bool operator==(const Plcr&) const = default;

  static constexpr bool loss_uses_row = true;

  // lambda_max * min(1, (epoch + 1) / ramp_epochs) (article) or lambda_max * min(1, epoch / ramp_epochs)
  // (published) in the 0-based epoch; lambda_max where there is no ramp. With ramp = step, (step + 1) /
  // steps_per_epoch and step / steps_per_epoch are in place of epoch + 1 and epoch, so the article's ramp has
  // the same value at the end of an epoch.
  static constexpr std::array<const char*, kMethodScalars> scalar_names = {"lambda"};
  std::array<double, kMethodScalars> scalars(const Moment& moment) const {
    if (ramp_epochs == 0) return {lambda_max};
    const double begun = variant == ObjectiveVariant::article ? 1 : 0;
    const double passed = ramp == RampUnit::epoch ? moment.epoch + begun
                                                  : (static_cast<double>(moment.step) + begun) /
                                                        static_cast<double>(moment.steps_per_epoch);
    const double share = passed / ramp_epochs;
    return {lambda_max * (share < 1 ? share : 1)};
  }

  static constexpr int strong_views = 2;
  static constexpr bool has_terms = true;
  static constexpr bool needs_labels = false;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int views) { return views + 3; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    const int views = g.views(), classes = g.classes();
    double* const log_sum = g.scratch(views);
    double* const slope = g.scratch(views + 1);
    double* const weight = g.scratch(views + 2);
    for (int k = g.first(); k < classes; k += g.stride()) log_sum[k] = 0;
    Softmax weak;
    for (int v = 0; v < views; ++v) {
      const Softmax view = softmax(g, v, g.scratch(v), log_sum);
      if (v == 0) weak = view;
    }
    const double supervised = supervised_term(g, slope, g.scratch(0), weak);

    double mass = 0, negative_entropy = 0, cross_entropy = 0;
    for (int k = g.first(); k < classes; k += g.stride()) {
      const double t = g.row(k);
      mass += t;
      if (t == 0) continue;
      negative_entropy += t * log(t);
      cross_entropy -= t * log_sum[k];
    }
    mass = g.sum(mass);
    negative_entropy = g.sum(negative_entropy);
    cross_entropy = g.sum(cross_entropy);
    const double consistency = views * negative_entropy + cross_entropy;

    // d KL(t || p) / d logits = p * sum(t) - t
    const double lambda = g.scalar(0);
    const double supervised_scale = g.gradient_scale();
    const double consistency_scale = lambda * supervised_scale;
    for (int v = 0; v < views; ++v) {
      const double* const p = g.scratch(v);
      for (int k = g.first(); k < classes; k += g.stride()) {
        const double of_set = v == 0 ? supervised_scale * slope[k] : 0;
        g.set_gradient(v, k, consistency_scale * (p[k] * mass - g.row(k)) + of_set);
      }
    }

    Outcome outcome;
    outcome.row = softmax_over(
        g, weight, [&](int k) { return g.in_set(k); }, [&](int k) { return log_sum[k]; }, views);
    outcome.weight = weight;
    outcome.total = lambda * consistency + supervised;
    outcome.supervised = supervised;
    outcome.consistency = consistency;
    outcome.predicted = weak.top;
    return outcome;
  }

 private:
  // L = -sum_{j not in S} log(c - p_j), and slope = dL/dlogits. With g_j = dL/dp_j = 1 / (c - p_j) outside of
  // S and 0 inside, and dp_j/dz_k = p_j (delta_jk - p_k):
  //   dL/dz_k = p_k (g_k - sum_j g_j p_j)
  // This is harmless except at the top class if it is not a candidate: there p -> 1 and g -> 1 / (c - 1), a
  // million, and g_top - sum_j g_j p_j would cancel. So it is computed as g_top (1 - p_top) minus the sum
  // over the other classes, and c - p_top as (c - 1) + (1 - p_top).
  template <typename Group>
  DPLL_HD_MEMBER double supervised_term(const Group& g, double* slope, const double* p,
                                        const objectives::Softmax& weak) const {
    const double margin = c_minus_1(Group::kSingle);
    double loss = 0, others = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      slope[k] = 0;
      if (g.in_set(k)) continue;
      const double gap = margin + (k == weak.top ? weak.rest : 1 - p[k]);
      loss -= log(gap);
      slope[k] = 1 / gap;
      if (k != weak.top) others += slope[k] * p[k];
    }
    loss = g.sum(loss);
    others = g.sum(others);
    const double g_top = g.in_set(weak.top) ? 0 : 1 / (margin + weak.rest);
    const double all = others + g_top * weak.p_top;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      slope[k] = k == weak.top ? weak.p_top * (g_top * weak.rest - others) : p[k] * (slope[k] - all);
    }
    return loss;
  }

  DPLL_HD_MEMBER double c_minus_1(bool single) const {
    if (variant == ObjectiveVariant::published) return 0x1p-23;
    return single ? static_cast<double>(static_cast<float>(1 + 1e-6)) - 1 : 1e-6;
  }
};

}  // namespace dpll
