// Computes a sample with any method: calls its function, then does the part that is the same for all methods.
#pragma once

#include "dpll/ops/pll_objective.h"

namespace dpll::objectives {

// Writes the sample's gradients and, if everything is finite, its new row. Every lane gets the metrics.
template <typename M, typename Group>
DPLL_HD ObjectiveMetrics run_sample(const M& method, const Group& g) {
  Top old_top;
  for (int k = g.first(); k < g.classes(); k += g.stride()) old_top = larger(old_top, {g.row(k), k});
  old_top = g.largest(old_top);
  const Outcome outcome = method.run(g);
  ObjectiveMetrics metrics;
  metrics.samples = 1;
  if (!is_finite(outcome.total) || !is_finite(outcome.row.entropy)) {
    metrics.nonfinite = 1;
    return metrics;  // the old row is kept
  }
  Top new_top;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    new_top = larger(new_top, {g.set_row(k, outcome.weight[k] / outcome.row.total), k});
  }
  new_top = g.largest(new_top);
  metrics.total = outcome.total;
  metrics.supervised = outcome.supervised;
  metrics.consistency = outcome.consistency;
  metrics.covered = g.in_set(outcome.predicted) ? 1 : 0;
  metrics.target_entropy = outcome.row.entropy;
  metrics.target_max = new_top.value;
  metrics.target_changed = new_top.index != old_top.index ? 1 : 0;
  if (g.label() >= 0) {
    metrics.labelled = 1;
    metrics.train_correct = outcome.predicted == g.label() ? 1 : 0;
    metrics.pseudo_correct = new_top.index == g.label() ? 1 : 0;
  }
  return metrics;
}

DPLL_HD void add(ObjectiveMetrics& sum, const ObjectiveMetrics& term) {
  sum.samples += term.samples;
  sum.total += term.total;
  sum.supervised += term.supervised;
  sum.consistency += term.consistency;
  sum.labelled += term.labelled;
  sum.train_correct += term.train_correct;
  sum.pseudo_correct += term.pseudo_correct;
  sum.covered += term.covered;
  sum.target_entropy += term.target_entropy;
  sum.target_max += term.target_max;
  sum.target_changed += term.target_changed;
  sum.nonfinite += term.nonfinite;
}

// The number of doubles that a sample needs as scratch: [..., classes].
inline std::int64_t scratch_elements(const PllObjectiveSpec& spec) {
  return std::visit([&](const auto& m) { return std::int64_t{m.scratch_arrays(spec.views)} * spec.classes; },
                    spec.method);
}

}  // namespace dpll::objectives
