// OP-W: an order-preserving loss of complementary labels, weighted. Liu, Cao, Zhang, Feng, An: Consistent
// Complementary-Label Learning via Order-Preserving Losses, AISTATS 2023, as the codes of PLENCH and libcll
// have it.
//
// With a = softmax(f_v) + 1e-18, r = softmax(-f_v), b = r + 1e-18, u = softmax(1 / b + 1) and weights w = a u
// + 1e-6:
//   loss  the mean over the batch's pairs (sample, y not in S) of -(1/V) sum_v w_y log b_y
//   row   norm_S(p_0), which the loss does not use
// The gradient goes through w, as in the published codes. Pairs are explained in of_pairs.h. With h_y = -log
// b_y for y not in S, else 0, and G_y = h_y a_y:
//   dL/da_y = h_y u_y
//   dL/db_y = -u_y (G_y - sum_k G_k u_k) / b_y^2 - [y not in S] w_y / b_y
// 1 / b is as large as 1e18: u is nearly always 1 at one class, for which G - sum G u is taken without
// cancellation, since it is divided by b^2. The published codes, in float32, do not.
#pragma once

#include "objectives/of_pairs.h"

namespace dpll {

struct OrderPreserving final : objectives::OfPairs<OrderPreserving> {
  static constexpr objectives::About about = {
      "op_w", "Liu et al.: Consistent Complementary-Label Learning via Order-Preserving Losses, AISTATS 2023",
      "L = the mean over the batch's pairs (sample, y not in S) of -w_y log b_y, b = softmax(-f), "
      "w = softmax(f) softmax(1 / b + 1)"};
  template <typename Keys>
  void keys(const Keys&) {}
  bool operator==(const OrderPreserving&) const = default;

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 5; }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const p = g.scratch(0);
    double* const u = g.scratch(1);
    double* const slope = g.scratch(2);
    double* const r = g.scratch(3);
    double* const reverse = g.scratch(4);
    const double pair_weight = this->weight(g), scale = g.gradient_scale() / g.views() * pair_weight;
    Outcome outcome;
    for (int v = 0; v < g.views(); ++v) {
      const ViewOutput out = output_of(g, v, p, u);
      if (v == 0) outcome.predicted = out.softmax.top;
      const ViewOutput negated = output_of(NegatedLogits<Group>{g}, v, r, reverse);
      const double loss = view_loss(g, p, r, u, slope, reverse);
      outcome.total += pair_weight * loss / g.views();
      const SlopeSums sums = sums_of_slopes(g, out, slope), of_negated = sums_of_slopes(g, negated, reverse);
      for (int k = g.first(); k < g.classes(); k += g.stride()) {
        g.set_gradient(
            v, k,
            scale * (logit_gradient(out, slope, sums, k) - logit_gradient(negated, reverse, of_negated, k)));
      }
    }
    outcome.row = weak_view_on_candidates(g, slope);
    outcome.weight = slope;
    return outcome;
  }

 private:
  // softmax(-f) is the softmax of these.
  template <typename Group>
  struct NegatedLogits {
    const Group& g;
    DPLL_HD_MEMBER int classes() const { return g.classes(); }
    DPLL_HD_MEMBER int first() const { return g.first(); }
    DPLL_HD_MEMBER int stride() const { return g.stride(); }
    DPLL_HD_MEMBER double sum(double x) const { return g.sum(x); }
    DPLL_HD_MEMBER objectives::Top largest(const objectives::Top& top) const { return g.largest(top); }
    DPLL_HD_MEMBER double logit(int view, int k) const { return -g.logit(view, k); }
  };
  static constexpr double kMargin = 1e-18;

  // Of a view's pairs. slope[k] = p_k dL/da_k, reverse[k] = r_k dL/db_k.
  template <typename Group>
  DPLL_HD_MEMBER double view_loss(const Group& g, const double* p, const double* r, double* u, double* slope,
                                  double* reverse) const {
    using namespace objectives;
    const auto h = [&](int k) { return g.in_set(k) ? 0.0 : -log(r[k] + kMargin); };
    Top top;
    for (int k = g.first(); k < g.classes(); k += g.stride()) top = larger(top, {1 / (r[k] + kMargin), k});
    top = g.largest(top);
    const double total = softmax_over(
                             g, u, [](int) { return true; }, [&](int k) { return 1 / (r[k] + kMargin); }, 1)
                             .total;
    double loss = 0, of_others = 0, of_top = 0, rest = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      u[k] /= total;
      const double a = p[k] + kMargin, weighted = h(k) * a;
      loss += h(k) * (a * u[k] + 1e-6);
      slope[k] = p[k] * h(k) * u[k];
      if (k == top.index) {
        of_top = weighted;
      } else {
        of_others += weighted * u[k];
        rest += u[k];
      }
    }
    loss = g.sum(loss);
    of_others = g.sum(of_others);
    of_top = g.sum(of_top);
    rest = g.sum(rest);
    const double mean = of_others + of_top / total;  // 1 / total is the top class's u
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      const double a = p[k] + kMargin, b = r[k] + kMargin;
      const double over_mean = k == top.index ? of_top * rest - of_others : h(k) * a - mean;
      const double of_log = -u[k] * over_mean / b - (g.in_set(k) ? 0 : a * u[k] + 1e-6);
      reverse[k] = r[k] / b * of_log;
    }
    return loss;
  }
};

}  // namespace dpll
