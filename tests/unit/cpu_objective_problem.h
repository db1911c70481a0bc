// A batch of pll_objective for the tests of the CPU backend, and a call of it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "backend/cpu/cpu_ops.h"
#include "dpll/candidates.h"
#include "dpll/core/philox.h"
#include "support/doctest.h"
#include "support/host_tensor.h"

namespace dpll::test {

inline const double kNan = std::nan("");
inline const float kInf = std::numeric_limits<float>::infinity();

inline double noise(std::size_t i, std::uint32_t what) {
  const std::uint32_t word = philox4x32(11, static_cast<std::uint32_t>(i), what, 0, 0).v[0];
  return 2.0 * static_cast<double>(word) / 0x1p32 - 1;
}

inline std::vector<int> all_labels(int classes) {
  std::vector<int> all(static_cast<std::size_t>(classes));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

struct Problem {
  PllObjectiveSpec spec;
  int samples;
  StepState step;
  std::vector<float> logits;
  CandidateSets candidates;
  std::vector<float> targets;
  std::vector<std::int32_t> labels, order;

  // Random candidates around random labels, random targets on them, logits in [-scale, scale].
  Problem(int views, int batch, int classes, int samples_, double scale)
      : samples(samples_),
        logits(static_cast<std::size_t>(views * batch * classes)),
        candidates(samples_, classes),
        targets(static_cast<std::size_t>(samples_ * classes)) {
    spec.views = views;
    spec.batch = batch;
    spec.classes = classes;
    step.scalars[0] = 0.7F;
    for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(scale * noise(i, 1));
    for (int n = 0; n < samples; ++n) {
      order.push_back((n * 11 + 3) % samples);  // a permutation for every count used here
      labels.push_back(static_cast<std::int32_t>((noise(cell(n, 0), 2) + 1) / 2 * classes));
      candidates.insert(n, labels.back());
      for (int k = 0; k < classes; ++k) {
        if (noise(cell(n, k), 3) > 0.2) candidates.insert(n, k);
      }
      const auto weight = [&](int k) { return candidates.contains(n, k) ? 1.1 + noise(cell(n, k), 4) : 0.0; };
      double total = 0;
      for (int k = 0; k < classes; ++k) total += weight(k);
      for (int k = 0; k < classes; ++k) targets[cell(n, k)] = static_cast<float>(weight(k) / total);
    }
  }

  // Where class k of a row is, in tables of samples or images.
  std::size_t cell(int row, int k) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(spec.classes) +
           static_cast<std::size_t>(k);
  }
  std::size_t logit_cell(int view, int row, int k) const { return cell(view * spec.batch + row, k); }
  int sample(int row) const { return order[step.first + static_cast<std::size_t>(row)]; }

  // The set, with a uniform target on it.
  void set_candidates(int n, const std::vector<int>& set) {
    CandidateSets fresh(samples, spec.classes);
    for (int i = 0; i < samples; ++i) {
      for (int k = 0; k < spec.classes; ++k) {
        if (i != n && candidates.contains(i, k)) fresh.insert(i, k);
      }
    }
    for (const int k : set) fresh.insert(n, k);
    candidates = fresh;
    for (int k = 0; k < spec.classes; ++k) {
      targets[cell(n, k)] = candidates.contains(n, k) ? 1.0F / static_cast<float>(set.size()) : 0.0F;
    }
  }
};

struct ObjectiveResult {
  std::vector<float> d_logits, targets;
  ObjectiveMetrics last, total;
};

inline ObjectiveResult run_with(PllObjective& op, Problem& problem, bool with_labels = true,
                                ObjectiveMetrics before = {}) {
  ObjectiveResult result;
  result.d_logits.assign(problem.logits.size(), -77.0F);
  result.targets = problem.targets;
  result.total = before;
  result.last.total = result.last.nonfinite = 55;  // must be overwritten
  std::vector<double> workspace(op.workspace_bytes() / sizeof(double) + 1, kNan);
  const std::int64_t images = std::int64_t{problem.spec.views} * problem.spec.batch;
  PllObjectiveCall call;
  call.d_logits = tensor_of(result.d_logits, {images, problem.spec.classes});
  call.targets = tensor_of(result.targets, {problem.samples, problem.spec.classes});
  call.last = &result.last;
  call.total = &result.total;
  call.logits = tensor_of(problem.logits, {images, problem.spec.classes});
  call.candidates = tensor_of(problem.candidates.words, {problem.samples, problem.candidates.words_per_row});
  if (with_labels) call.labels = tensor_of(problem.labels);
  call.rows.step = &problem.step;
  call.rows.order = tensor_of(problem.order);
  call.workspace = workspace.data();
  op.run(call);
  CHECK(std::isnan(workspace.back()));
  return result;
}

// By the CPU backend.
inline ObjectiveResult run(Problem& problem, bool with_labels = true, ObjectiveMetrics before = {}) {
  return run_with(*cpu::make_pll_objective(problem.spec), problem, with_labels, before);
}

}  // namespace dpll::test
