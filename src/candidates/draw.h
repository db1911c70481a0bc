// Shared code of the models that draw with Philox; dpll/candidates.h defines the numbers.
#pragma once

#include "dpll/candidates.h"
#include "dpll/core/check.h"
#include "dpll/core/philox.h"

namespace dpll {

// The draws for the set of one sample; `stage` separates the draws of later changes to the set.
enum class CandidateStage : std::uint32_t { labels = 0, noise = 1 };
inline PhiloxStream candidate_draws(std::uint32_t seed, std::int64_t sample, CandidateStage stage) {
  return {seed, Purpose::candidates, 0, static_cast<std::uint32_t>(sample),
          static_cast<std::uint32_t>(stage)};
}

// The true label of a sample; it must be known.
inline int true_label(const std::vector<std::int32_t>& labels, std::int64_t sample, int classes) {
  const std::int32_t label = labels[static_cast<std::size_t>(sample)];
  if (label < 0 || label >= classes) {
    fail(ExitCode::data,
         "candidate sets are drawn from the true label of every sample; sample {} has {} (classes: {})",
         sample, label, classes);
  }
  return label;
}

inline void check_rate(double rate) {
  if (!(rate >= 0 && rate < 1)) {
    fail(ExitCode::config, "candidates.rate = {}: expected a number, 0 or more, below 1", rate);
  }
}

// Adds the true label, and each other label c with probability(sample, truth, c).
template <typename Probability>
CandidateSets draw_labels(const std::vector<std::int32_t>& labels, int classes, std::uint32_t seed,
                          Probability&& probability) {
  CandidateSets sets(static_cast<std::int64_t>(labels.size()), classes);
  for (std::int64_t i = 0; i < sets.count; ++i) {
    const int truth = true_label(labels, i, classes);
    sets.insert(i, truth);
    PhiloxStream draws = candidate_draws(seed, i, CandidateStage::labels);
    for (int c = 0; c < classes; ++c) {
      const double u = draws.next_float();  // also for the true label: draw c belongs to label c
      if (c != truth && u < probability(i, truth, c)) sets.insert(i, c);
    }
  }
  return sets;
}

}  // namespace dpll
