#include "candidates/numpy_legacy.h"
#include "dpll/candidates.h"
#include "dpll/core/check.h"

namespace dpll {

CandidateSets uniform_candidates(const std::vector<std::int32_t>& labels, int classes, double rate,
                                 int min_distractors, std::uint32_t seed) {
  if (!(rate >= 0 && rate < 1)) {
    fail(ExitCode::config, "candidates.rate = {}: expected a number, 0 or more, below 1", rate);
  }
  if (min_distractors < 0 || min_distractors > 1) {
    fail(ExitCode::config, "candidates.min_distractors = {}: expected 0 or 1", min_distractors);
  }
  if (classes < 1 + min_distractors) {
    fail(ExitCode::data, "uniform candidates with {} distractor need at least {} classes, not {}",
         min_distractors, 1 + min_distractors, classes);
  }
  CandidateSets sets(static_cast<std::int64_t>(labels.size()), classes);
  NumpyLegacy random(seed);
  for (std::int64_t i = 0; i < sets.count; ++i) {
    const std::int32_t label = labels[static_cast<std::size_t>(i)];
    if (label < 0 || label >= classes) {
      fail(ExitCode::data,
           "uniform candidates need the true label of every sample; sample {} has {} (classes: {})", i, label,
           classes);
    }
    int distractors = 0;
    for (int c = 0; c < classes; ++c) {
      if (!random.binomial(rate)) continue;
      sets.insert(i, c);
      if (c != label) ++distractors;
    }
    sets.insert(i, label);
    while (distractors < min_distractors) {
      const auto drawn = static_cast<int>(random.randint(static_cast<std::uint32_t>(classes)));
      sets.insert(i, drawn);
      if (drawn != label) ++distractors;
    }
  }
  return sets;
}

}  // namespace dpll
