// Row-wise helpers that pll_objective and cross_entropy share.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace dpll::reference {

// log softmax of a row of logits, by log-sum-exp.
inline std::vector<double> log_softmax(const double* logits, int classes) {
  const double maximum = *std::max_element(logits, logits + classes);
  double sum = 0;
  for (int j = 0; j < classes; ++j) sum += std::exp(logits[j] - maximum);
  std::vector<double> log_p(static_cast<std::size_t>(classes));
  for (int j = 0; j < classes; ++j) {
    log_p[static_cast<std::size_t>(j)] = logits[j] - maximum - std::log(sum);
  }
  return log_p;
}

// Index of the largest value, the first one among equals.
inline int first_argmax(const double* values, int count) {
  int best = 0;
  for (int j = 1; j < count; ++j) {
    if (values[j] > values[best]) best = j;
  }
  return best;
}

}  // namespace dpll::reference
