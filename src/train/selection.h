// Selects an epoch without true labels: a part of the partially labelled training set is held out, and the
// two measures of PLENCH are computed on it (Wang et al., "Realistic Evaluation of Deep Partial-Label
// Learning Algorithms", ICLR 2025).
#pragma once

#include <cstdint>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/data.h"

namespace dpll {

struct SelectionPart {
  ImageSet images;
  CandidateSets candidates;
};

// round(fraction * count). Error(config) if one of the parts would be empty; 0 for fraction 0.
std::int64_t held_out_count(std::int64_t count, double fraction);

// Moves round(fraction * N) training samples and their sets out of `data.train` and `candidates`; Philox
// draws them from `seed`, and both parts keep the order. Does nothing for fraction 0. Errors as above.
SelectionPart hold_out_selection(DataSet& data, CandidateSets& candidates, double fraction,
                                 std::uint64_t seed);

// Means over the samples, with y = argmax of the logits (the first one among equals), p their softmax, S the
// candidate set:
//   covering rate          [y in S]
//   approximated accuracy  [y in S] p_y / sum_{j in S} p_j
// PLENCH's code adds 1e-12 to this sum; that only matters for samples whose candidates have less probability.
struct SelectionScores {
  double covering_rate = 0, approximated_accuracy = 0;
};
SelectionScores selection_scores(const std::vector<float>& logits, const CandidateSets& candidates);

}  // namespace dpll
