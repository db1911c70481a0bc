// What methods share whose loss is a function of the probabilities p_v of each view.
//
// With p = softmax(z) and e_j = dL/dlog p_j = p_j dL/dp_j,
//   dL/dz_k = e_k - p_k sum_j e_j
// so that a method says what e is, and nothing divides by a probability that has become 0. Where p_k is near
// 1 the difference would cancel: for the first class with the largest logit, "top", it is
//   e_top (1 - p_top) - p_top sum_{j not top} e_j,   1 - p_top being the sum of the other probabilities.
#pragma once

#include <array>

#include "objectives/sample.h"

namespace dpll::objectives {

// What a method says of itself that has no scalars, one view and one term.
struct PlainMethod {
  bool operator==(const PlainMethod&) const = default;
  static constexpr std::array<const char*, kMethodScalars> scalar_names = {};
  std::array<double, kMethodScalars> scalars(const Moment&) const { return {}; }
  static constexpr int strong_views = 0;
  static constexpr bool has_terms = false;
  static constexpr bool needs_labels = false;
};

// The probabilities of one view.
struct ViewOutput {
  int view;
  const double* p;      // [classes]
  const double* log_p;  // [classes]
  Softmax softmax;

  // 1 - p_k without cancellation
  DPLL_HD_MEMBER double one_minus(int k) const { return k == softmax.top ? softmax.rest : 1 - p[k]; }
};

template <typename Group>
DPLL_HD ViewOutput output_of(const Group& g, int view, double* p, double* log_p) {
  for (int k = g.first(); k < g.classes(); k += g.stride()) log_p[k] = 0;
  const Softmax softmax_of_view = softmax(g, view, p, log_p);
  return {view, p, log_p, softmax_of_view};
}

// Sums of e over the classes: of the top one and of the others.
struct SlopeSums {
  double of_top, others;
};

template <typename Group>
DPLL_HD SlopeSums sums_of_slopes(const Group& g, const ViewOutput& out, const double* slope) {
  double others = 0, of_top = 0;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    (k == out.softmax.top ? of_top : others) += slope[k];
  }
  others = g.sum(others);
  of_top = g.sum(of_top);
  return {of_top, others};
}

// dL/dz_k from slope[k] = e_k
DPLL_HD double logit_gradient(const ViewOutput& out, const double* slope, const SlopeSums& sums, int k) {
  return k == out.softmax.top ? sums.of_top * out.softmax.rest - out.softmax.p_top * sums.others
                              : slope[k] - out.p[k] * (sums.others + sums.of_top);
}

// scale * dL/dz of the view
template <typename Group>
DPLL_HD void set_view_gradient(const Group& g, const ViewOutput& out, const double* slope, double scale) {
  const SlopeSums sums = sums_of_slopes(g, out, slope);
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    g.set_gradient(out.view, k, scale * logit_gradient(out, slope, sums, k));
  }
}

// Candidates of the sample.
template <typename Group>
DPLL_HD int set_size(const Group& g) {
  double size = 0;
  for (int k = g.first(); k < g.classes(); k += g.stride()) size += g.in_set(k) ? 1 : 0;
  return static_cast<int>(g.sum(size));
}

// L = -sum_k weight(k) log(1 - p_k + margin), and its e is added to slope. `weight` gives every lane any
// class's. Without a margin the top class's 1 - p may be too small for a number; its part is the log of the
// sum over the others, in `scratch`.
template <typename Group, typename Weight>
DPLL_HD double log_of_complements(const Group& g, const ViewOutput& out, double margin, const Weight& weight,
                                  double* slope, double* scratch) {
  const int top = out.softmax.top;
  const bool top_apart = margin == 0;
  double loss = 0;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    const double w = weight(k);
    if (w == 0 || (top_apart && k == top)) continue;
    const double gap = margin + out.one_minus(k);
    loss -= w * log(gap);
    slope[k] += w * out.p[k] / gap;
  }
  loss = g.sum(loss);
  const double of_top = weight(top);
  if (!top_apart || of_top == 0) return loss;
  const NewRow others = softmax_over(
      g, scratch, [&](int k) { return k != top; }, [&](int k) { return out.log_p[k]; }, 1);
  for (int k = g.first(); k < g.classes(); k += g.stride()) slope[k] -= of_top * scratch[k] / others.total;
  return loss - of_top * others.log_sum;
}

// log sum_{j in S} p_j, and norm_S(p) = weight / total of what is returned.
template <typename Group>
DPLL_HD NewRow mass_of_candidates(const Group& g, const ViewOutput& out, double* weight) {
  return softmax_over(
      g, weight, [&](int k) { return g.in_set(k); }, [&](int k) { return out.log_p[k]; }, 1);
}

// -sum_j t_j log p_j with t = target(j), and slope = its e.
template <typename Group, typename Target>
DPLL_HD double row_cross_entropy(const Group& g, const ViewOutput& out, const Target& target, double* slope) {
  double loss = 0;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    slope[k] = -target(k);
    if (slope[k] != 0) loss += slope[k] * out.log_p[k];
  }
  return g.sum(loss);
}

// A method M whose loss is the mean over the views of a function of p_v, and whose row is norm_S(p_0). M has
//   weight(g)                              optional: a factor of the sample's loss, the same for all lanes
//   loss(g, out, weight, slope, scratch)   the loss of a view, with its weight (1 where there is none); fills
//                                          slope[k] = e_k. scratch: [classes]
// M may have metric_names = {"undefined"}: a sample whose weight is 0 has no loss by the formula, adds
// nothing and is counted.
template <typename M>
struct OfProbabilities : PlainMethod {
  bool operator==(const OfProbabilities&) const = default;
  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 4; }

  template <typename Group>
  DPLL_HD_MEMBER Outcome run(const Group& g) const {
    const M& method = static_cast<const M&>(*this);
    double* const p = g.scratch(0);
    double* const log_p = g.scratch(1);
    double* const slope = g.scratch(2);
    double* const scratch = g.scratch(3);
    double weight = 1;
    if constexpr (requires { method.weight(g); }) weight = method.weight(g);
    Outcome outcome;
    for (int v = 0; v < g.views(); ++v) {
      const ViewOutput out = output_of(g, v, p, log_p);
      if (v == 0) outcome.predicted = out.softmax.top;
      outcome.total += method.loss(g, out, weight, slope, scratch) / g.views();
      set_view_gradient(g, out, slope, g.gradient_scale() / g.views());
    }
    outcome.row = weak_view_on_candidates(g, slope);
    outcome.weight = slope;
    if constexpr (requires { M::metric_names; }) outcome.measured[0] = weight == 0 ? 1 : 0;
    return outcome;
  }
};

}  // namespace dpll::objectives
