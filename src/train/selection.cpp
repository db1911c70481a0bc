#include "train/selection.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "data/split.h"
#include "dpll/core/check.h"

namespace dpll {
namespace {

CandidateSets select_sets(const CandidateSets& sets, const std::vector<std::int64_t>& indices) {
  CandidateSets out(static_cast<std::int64_t>(indices.size()), sets.classes);
  auto to = out.words.begin();
  for (const std::int64_t i : indices) {
    to = std::copy_n(sets.words.begin() + i * sets.words_per_row, sets.words_per_row, to);
  }
  if (!sets.weights.empty()) out.weights = select_rows(sets.weights, sets.classes, indices);
  return out;
}

}  // namespace

std::int64_t held_out_count(std::int64_t count, double fraction) {
  if (fraction == 0) return 0;
  const std::int64_t held_out = std::llround(fraction * static_cast<double>(count));
  if (held_out < 1 || held_out >= count) {
    fail(ExitCode::config, "data.selection_fraction = {} of {} training samples gives {}, expected 1 to {}",
         fraction, count, held_out, count - 1);
  }
  return held_out;
}

SelectionPart hold_out_selection(DataSet& data, CandidateSets& candidates, double fraction,
                                 std::uint64_t seed) {
  const std::int64_t count = data.train.count, held_out = held_out_count(count, fraction);
  if (held_out == 0) return {};
  const Split split = draw_split(count, held_out, seed, SplitPart::selection);
  SelectionPart part{select(data.train, split.chosen), select_sets(candidates, split.chosen)};
  data.train = select(data.train, split.rest);
  candidates = select_sets(candidates, split.rest);
  data.train_origin = select_rows(data.train_origin, 1, split.rest);
  return part;
}

SelectionScores selection_scores(const std::vector<float>& logits, const CandidateSets& candidates) {
  const int classes = candidates.classes;
  DPLL_CHECK(candidates.count > 0 && logits.size() == static_cast<std::size_t>(candidates.count * classes),
             "{} logits for {} samples and {} classes", logits.size(), candidates.count, classes);
  SelectionScores sums;
  for (std::int64_t i = 0; i < candidates.count; ++i) {
    const float* row = logits.data() + i * classes;
    const auto predicted = static_cast<int>(std::max_element(row, row + classes) - row);
    if (!candidates.contains(i, predicted)) continue;
    double mass = 0;  // of the candidates, in units of the predicted label's probability
    for (int c = 0; c < classes; ++c) {
      if (candidates.contains(i, c)) mass += std::exp(static_cast<double>(row[c]) - row[predicted]);
    }
    sums.covering_rate += 1;
    sums.approximated_accuracy += 1 / mass;
  }
  const auto n = static_cast<double>(candidates.count);
  return {sums.covering_rate / n, sums.approximated_accuracy / n};
}

}  // namespace dpll
