// Computes a sample with any method: calls its function, then does the part that is the same for all methods.
#pragma once

#include "dpll/ops/pll_objective.h"

namespace dpll::objectives {

// Writes the sample's gradients and, if everything is finite, its new row, as far as the call's part has
// them. Every lane gets the metrics.
template <typename M, typename Group>
DPLL_HD ObjectiveMetrics run_sample(const M& method, const Group& g) {
  const bool loss = g.part() != ObjectivePart::rows, rows = g.part() != ObjectivePart::loss;
  Top old_top;
  for (int k = g.first(); k < g.classes(); k += g.stride()) old_top = larger(old_top, {g.row(k), k});
  old_top = g.largest(old_top);
  const Outcome outcome = method.run(g);
  ObjectiveMetrics metrics;
  metrics.samples = loss ? 1 : 0;
  if (!is_finite(outcome.total) || !is_finite(outcome.row.entropy)) {
    metrics.nonfinite = loss ? 1 : 0;
    return metrics;  // the old row is kept
  }
  if (loss) {
    metrics.total = outcome.total;
    metrics.supervised = outcome.supervised;
    metrics.consistency = outcome.consistency;
    metrics.covered = g.in_set(outcome.predicted) ? 1 : 0;
    for (int i = 0; i < kMethodMetrics; ++i) metrics.of_method[i] = outcome.measured[i];
    metrics.labelled = g.label() >= 0 ? 1 : 0;
    metrics.train_correct = g.label() >= 0 && outcome.predicted == g.label() ? 1 : 0;
  }
  if (!rows) return metrics;
  Top new_top;
  for (int k = g.first(); k < g.classes(); k += g.stride()) {
    new_top = larger(new_top, {g.set_row(k, outcome.weight[k] / outcome.row.total), k});
  }
  new_top = g.largest(new_top);
  if constexpr (kept_rows_of<M>() > 0) {
    for (int r = 0; r < kept_rows_of<M>(); ++r) {
      for (int k = g.first(); k < g.classes(); k += g.stride()) g.keep(r, k, outcome.kept[r][k]);
    }
  }
  metrics.target_entropy = outcome.row.entropy;
  metrics.target_max = new_top.value;
  metrics.target_changed = new_top.index != old_top.index ? 1 : 0;
  metrics.pseudo_correct = g.label() >= 0 && new_top.index == g.label() ? 1 : 0;
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
  for (int i = 0; i < kMethodMetrics; ++i) sum.of_method[i] += term.of_method[i];
}

// The sum over the samples of a call goes to where the call says.
inline void record(const PllObjectiveCall& call, const ObjectiveMetrics& sum) {
  if (!call.adds) *call.last = {};
  add(*call.last, sum);
  add(*call.total, sum);
}

// What a method needs in double beside the tensors of its call.
struct ScratchNeeds {
  std::int64_t of_sample;  // [..., classes]
  std::int64_t sums;       // of all rounds
  bool side_by_side;       // does what is prepared for a sample stay until its sums are taken?
  bool keeps_prepared;     // and until its function runs?
};

template <typename M>
ScratchNeeds scratch_needs(const M& method, int views, int classes) {
  const int sums = batch_sums_of(method, classes);
  return {std::int64_t{method.scratch_arrays(views)} * classes, sums, sums > 0, keeps_prepared_of<M>()};
}

inline ScratchNeeds scratch_needs(const PllObjectiveSpec& spec) {
  return std::visit([&](const auto& m) { return scratch_needs(m, spec.views, spec.classes); }, spec.method);
}

}  // namespace dpll::objectives
