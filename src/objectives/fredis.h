// FREDIS: candidate sets that may miss the truth: likely labels join them and unlikely ones leave while the
// network learns. Qiao, Xu, Lv, Ren, Geng: FREDIS: A Fusion Framework of Refinement and Disambiguation for
// Unreliable Partial Label Learning, ICML 2023, with the constants of PLENCH's code.
//
// For sample i with first candidates S0, candidates S as they are now (S0 at first), stored row t (a
// distribution on S, at first uniform), kept posterior q (at first 1/K) and p_v = softmax(logits of view v):
//   supervised   L_sup = -(1/V) sum_v sum_{j not in S0} log(1 - p_vj + 2^-23)
//   consistency  L_con = (1/V) sum_v KL(t || p_v)
//   loss         L = lambda L_con + alpha L_sup
//   new rows     t <- norm_S(p_0),  q <- p_0
//                published: t of the loss is norm_S0(q) from the sample's first visit behind a change of the
//                sets on; in float32, q may have become 0 on all of S0: then norm_S(p_0)
// After every `interval` epochs, with d_j = max q - q_j of a sample:
//   1. the m labels off S with d < theta join S; of more than change_size, as many, chosen at random
//   2. delta falls in steps of `decrease` until at least times m candidates, among those before step 1, have
//      d > delta, or all that have d > 0; these leave S, at most times change_size of them, chosen at random
//      published: in 1 and 2 as many are chosen among all labels with d < theta or d > delta, those included
//      for which nothing changes
//   3. a set that would be empty stays as it was
//   4. where fewer than change_size entries changed, theta < 0.9 and delta > 0.1, theta grows by `increase`
//      and delta falls by `decrease`
//   5. t <- normalise(q on S) for all samples; uniform where q is 0 on all of S
// PLENCH's code does so at the first step of an epoch, of the first one, too, before the network has seen
// more than a batch; its guard for 3 never acts; where 2 has too few candidates it does not end; and its rows
// are from a second forward pass after the update of the weights (objective.update = after).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "objectives/epoch_hook.h"
#include "objectives/of_probabilities.h"

namespace dpll {

struct Fredis final {
  ObjectiveVariant variant = ObjectiveVariant::article;
  double lambda = 10;
  double alpha = 1;
  double theta = 1e-6;
  double delta = 1;
  double increase = 1e-6;
  double decrease = 1e-6;
  int interval = 20;
  int change_size = 500;
  int times = 2;

  static constexpr objectives::About about = {
      "fredis",
      "Qiao et al.: FREDIS: A Fusion Framework of Refinement and Disambiguation for Unreliable Partial Label "
      "Learning, ICML 2023",
      "L = lambda KL(t || p) - alpha sum_{j not in S0} log(1 - p_j);  t <- norm_S(p);  labels join and leave "
      "S"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant,
               "rows and choices of labels as in src/objectives/fredis.h or as in the published code");
    key.real("lambda", lambda, 0, 1e6, "weight of the consistency term");
    key.real("alpha", alpha, 0, 1e6, "weight of the supervised term");
    key.real("theta", theta, 0, 1, "a label this near to the likeliest joins the set");
    key.real("delta", delta, 0, 1, "a candidate this far from the likeliest leaves the set");
    key.real("increase", increase, 0, 1, "what theta grows by when the sets have settled");
    key.real("decrease", decrease, 1e-7, 1, "steps in which delta falls");
    key.integer("interval", interval, 1, 1'000'000, "epochs between two changes of the sets");
    key.integer("change_size", change_size, 1, 1'000'000'000, "labels that join at once, at most");
    key.integer("times", times, 0, 1000, "candidates that leave for each label that joins");
  }
  bool operator==(const Fredis&) const = default;

  static constexpr bool loss_uses_row = true;
  static constexpr std::array<const char*, kMethodScalars> scalar_names = {};
  std::array<double, kMethodScalars> scalars(const Moment&) const { return {}; }
  static constexpr int strong_views = 0;
  static constexpr bool has_terms = true;
  static constexpr bool needs_labels = false;

  // Row 0: q. Row 1: is the class in S0? 1: yes; kFresh: yes, and the sets have changed since the sample's
  // last visit.
  static constexpr int kept_rows = 2;
  static constexpr float kFresh = 2;
  double first_kept(int row, bool in_set, int /*candidates*/, int classes) const {
    if (row == 0) return 1.0 / classes;
    return in_set ? 1 : 0;
  }

  // fredis.cpp
  std::unique_ptr<EpochHook> make_hook(std::int64_t samples, int classes) const;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 5; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const p = g.scratch(0);
    double* const log_p = g.scratch(1);
    double* const slope = g.scratch(2);
    double* const target = g.scratch(3);
    double* const first_set = g.scratch(4);
    set_target(g, target);
    double negative_entropy = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      if (target[k] > 0) negative_entropy += target[k] * log(target[k]);
      first_set[k] = g.kept(1, k) > 0.5 ? 1 : 0;
    }
    negative_entropy = g.sum(negative_entropy);
    Outcome outcome;
    const double share = 1.0 / g.views();
    // The weak view last, so that its probabilities stay.
    for (int v = g.views() - 1; v >= 0; --v) {
      const ViewOutput out = output_of(g, v, p, log_p);
      outcome.predicted = out.softmax.top;
      const double entropy = row_cross_entropy(
          g, out, [&](int k) { return lambda * target[k]; }, slope);
      outcome.total += share * entropy;
      if (lambda > 0) outcome.consistency += share * (negative_entropy + entropy / lambda);
      const double others = log_of_complements(
          g, out, 0x1p-23, [&](int k) { return g.kept(1, k) > 0.5 ? 0 : alpha; }, slope, nullptr);
      outcome.total += share * others;
      if (alpha > 0) outcome.supervised += share * others / alpha;
      set_view_gradient(g, out, slope, g.gradient_scale() * share);
    }
    outcome.total += lambda * negative_entropy;
    outcome.row = weak_view_on_candidates(g, slope);
    outcome.weight = slope;
    outcome.kept[0] = p;
    outcome.kept[1] = first_set;
    return outcome;
  }

 private:
  template <typename Group>
  DPLL_HD_MEMBER void set_target(const Group& g, double* target) const {
    double mass = 0, fresh = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      target[k] = g.kept(1, k) > 0.5 ? g.kept(0, k) : 0;
      mass += target[k];
      fresh += g.kept(1, k) > 1.5 ? 1 : 0;
    }
    mass = g.sum(mass);
    fresh = g.sum(fresh);
    const bool stored = variant == ObjectiveVariant::article || fresh > 0 || mass == 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      target[k] = stored ? g.row(k) : target[k] / mass;
    }
  }
};

}  // namespace dpll
