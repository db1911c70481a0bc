// Losses l_j(p) of a label j, of which methods make sums over labels: L = sum_j a_j l_j. Each says its value
// and, for the weights a and their sum, e_k = dL/dlog p_k (of_probabilities.h).
#pragma once

#include "objectives/of_probabilities.h"

namespace dpll::objectives {

// What all labels' losses have in common.
struct CommonPart {
  double squares = 0;  // of the probabilities other than the largest
};

// l_j = ||e_j - p||_1 = 2 (1 - p_j)
struct AbsoluteError {
  template <typename Group>
  DPLL_HD_MEMBER CommonPart common(const Group&, const ViewOutput&) const {
    return {};
  }
  DPLL_HD_MEMBER double value(const ViewOutput& out, int k, const CommonPart&) const {
    return 2 * out.one_minus(k);
  }
  DPLL_HD_MEMBER double slope(const ViewOutput& out, int k, double a, double /*sum*/) const {
    return -2 * a * out.p[k];
  }
};

// l_j = ||e_j - p||^2 = (1 - p_j)^2 + sum_{k not j} p_k^2
struct SquaredError {
  template <typename Group>
  DPLL_HD_MEMBER CommonPart common(const Group& g, const ViewOutput& out) const {
    double squares = 0;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      if (k != out.softmax.top) squares += out.p[k] * out.p[k];
    }
    return {g.sum(squares)};
  }
  DPLL_HD_MEMBER double value(const ViewOutput& out, int k, const CommonPart& common) const {
    const double rest = out.softmax.rest;
    if (k == out.softmax.top) return rest * rest + common.squares;
    return 1 - 2 * out.p[k] + out.softmax.p_top * out.softmax.p_top + common.squares;
  }
  // 2 p (sum p - a), where sum p and a may cancel
  DPLL_HD_MEMBER double slope(const ViewOutput& out, int k, double a, double sum) const {
    return 2 * out.p[k] * ((sum - a) * out.p[k] - a * out.one_minus(k));
  }
};

// l_j = (1 - p_j^q) / q, between the absolute error (q = 1) and the cross entropy (q -> 0)
struct GeneralizedCrossEntropy {
  double q;
  template <typename Group>
  DPLL_HD_MEMBER CommonPart common(const Group&, const ViewOutput&) const {
    return {};
  }
  DPLL_HD_MEMBER double value(const ViewOutput& out, int k, const CommonPart&) const {
    return -expm1(q * out.log_p[k]) / q;
  }
  DPLL_HD_MEMBER double slope(const ViewOutput& out, int k, double a, double /*sum*/) const {
    return -a * exp(q * out.log_p[k]);
  }
};

// l_j = -log p_j where p_j > truncation = h, else its tangent there: -log h - p_j / h + 1
struct PartiallyHuberised {
  double truncation;
  template <typename Group>
  DPLL_HD_MEMBER CommonPart common(const Group&, const ViewOutput&) const {
    return {};
  }
  DPLL_HD_MEMBER double value(const ViewOutput& out, int k, const CommonPart&) const {
    return out.p[k] > truncation ? -out.log_p[k] : 1 - log(truncation) - out.p[k] / truncation;
  }
  DPLL_HD_MEMBER double slope(const ViewOutput& out, int k, double a, double /*sum*/) const {
    return out.p[k] > truncation ? -a : -a * out.p[k] / truncation;
  }
};

// l_j = -log p_j
struct CategoricalCrossEntropy {
  template <typename Group>
  DPLL_HD_MEMBER CommonPart common(const Group&, const ViewOutput&) const {
    return {};
  }
  DPLL_HD_MEMBER double value(const ViewOutput& out, int k, const CommonPart&) const { return -out.log_p[k]; }
  DPLL_HD_MEMBER double slope(const ViewOutput&, int /*k*/, double a, double /*sum*/) const { return -a; }
};

// sum_j l_j over the candidates and over the other labels.
struct LabelSums {
  double candidates, others;
};

template <typename Loss, typename Group>
DPLL_HD LabelSums sums_of_losses(const Loss& loss, const Group& g, const ViewOutput& out) {
  const CommonPart common = loss.common(g, out);
  double candidates = 0, others = 0;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    (g.in_set(k) ? candidates : others) += loss.value(out, k, common);
  }
  candidates = g.sum(candidates);
  others = g.sum(others);
  return {candidates, others};
}

// slope[k] = e_k of L with weight a = of_candidates on the set and of_others off it, whose sum is `sum`.
template <typename Loss, typename Group>
DPLL_HD void slopes_of_losses(const Loss& loss, const Group& g, const ViewOutput& out, double of_candidates,
                              double of_others, double sum, double* slope) {
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    slope[k] = loss.slope(out, k, g.in_set(k) ? of_candidates : of_others, sum);
  }
}

}  // namespace dpll::objectives
