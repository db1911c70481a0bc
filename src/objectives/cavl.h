// CAVL: cross entropy with the one candidate whose class activation value is the largest. Zhang, Feng, Han,
// Liu, Niu, Qin, Sugiyama: Exploiting Class Activation Value for Partial-Label Learning, ICLR 2022.
//
// For sample i with candidates S, kept row t over all labels (at first uniform on S), logits f_v and p_v =
// softmax(f_v):
//   loss      L = -(1/V) sum_v sum_j t_j log p_vj
//   value     a_j = f_0j |1 - f_0j|
//   kept row  t <- 1 at one class, 0 elsewhere
//             article:    the candidate with the largest a_j
//             published:  the class with the largest a_j [j in S]: where the values of all candidates are
//                         negative, it is the first class that is *no* candidate
//   row       1 at the candidate with the largest a_j, which is t in the article's variant
// The first one wins among equals. The published code makes the rows from a second forward pass after the
// update of the weights: objective.update = after.
#pragma once

#include "objectives/of_probabilities.h"

namespace dpll {

struct Cavl final : objectives::PlainMethod {
  ObjectiveVariant variant = ObjectiveVariant::article;

  static constexpr objectives::About about = {
      "cavl", "Zhang et al.: Exploiting Class Activation Value for Partial-Label Learning, ICLR 2022",
      "L = -log p_y, y <- the candidate with the largest f_j |1 - f_j|; uniform on S before its first visit"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice(
        "variant", variant,
        "the label is a candidate (article) or, where all their values are negative, is not (published)");
  }
  bool operator==(const Cavl&) const = default;

  static constexpr bool loss_uses_row = true;
  static constexpr int kept_rows = 1;
  double first_kept(int /*row*/, bool in_set, int candidates, int /*classes*/) const {
    return in_set ? 1.0 / candidates : 0;
  }

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 3; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const p = g.scratch(0);
    double* const log_p = g.scratch(1);
    double* const slope = g.scratch(2);
    Outcome outcome;
    for (int v = 0; v < g.views(); ++v) {
      const ViewOutput out = output_of(g, v, p, log_p);
      if (v == 0) outcome.predicted = out.softmax.top;
      outcome.total += row_cross_entropy(
                           g, out, [&](int k) { return g.kept(0, k); }, slope) /
                       g.views();
      set_view_gradient(g, out, slope, g.gradient_scale() / g.views());
    }
    Top candidate, any;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      const double value = g.logit(0, k) * fabs(1 - g.logit(0, k));
      if (g.in_set(k)) candidate = larger(candidate, {value, k});
      any = larger(any, {g.in_set(k) ? value : 0, k});
    }
    candidate = g.largest(candidate);
    any = g.largest(any);
    const int label = variant == ObjectiveVariant::article ? candidate.index : any.index;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      p[k] = k == candidate.index ? 1 : 0;
      log_p[k] = k == label ? 1 : 0;
    }
    outcome.row.total = 1;
    outcome.weight = p;
    outcome.kept[0] = log_p;
    return outcome;
  }
};

}  // namespace dpll
