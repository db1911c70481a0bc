#include <algorithm>
#include <cmath>
#include <limits>

#include "candidates/draw.h"

namespace dpll {
namespace {

// The probability chances[c] of every label of one sample, from the annotator's logits; 0 for the true label.
void instance_chances(const float* logits, int truth, double scale, std::vector<double>& chances) {
  const auto classes = static_cast<int>(chances.size());
  float largest = -std::numeric_limits<float>::infinity();
  for (int c = 0; c < classes; ++c) {
    if (c != truth) largest = std::max(largest, logits[c]);
  }
  double mean = 0;
  for (int c = 0; c < classes; ++c) {
    double& ratio = chances[static_cast<std::size_t>(c)];
    // The normaliser of the softmax cancels, so no ratio of extremely small probabilities is needed.
    ratio = c == truth ? 0 : std::exp(static_cast<double>(logits[c]) - largest);
    mean += ratio / classes;
  }
  for (double& chance : chances) chance = std::min(1.0, chance / mean * scale);
}

}  // namespace

CandidateSets instance_candidates(const std::vector<std::int32_t>& labels, const std::vector<float>& logits,
                                  int classes, double scale, std::uint32_t seed) {
  if (!(scale > 0)) fail(ExitCode::config, "annotator.scale = {}: expected a number above 0", scale);
  if (classes < 2) fail(ExitCode::data, "instance-dependent candidates need at least 2 classes");
  DPLL_CHECK(logits.size() == labels.size() * static_cast<std::size_t>(classes),
             "{} logits for {} samples and {} classes", logits.size(), labels.size(), classes);
  const auto bad = std::find_if(logits.begin(), logits.end(), [](float z) { return !std::isfinite(z); });
  if (bad != logits.end()) {
    fail(ExitCode::run, "the annotator's output for sample {} is {}; a lower annotator.lr is the usual cure",
         (bad - logits.begin()) / classes, *bad);
  }
  std::vector<double> chances(static_cast<std::size_t>(classes));
  std::int64_t of = -1;
  return draw_labels(labels, classes, seed, [&](std::int64_t sample, int truth, int c) {
    if (of != sample) instance_chances(logits.data() + sample * classes, truth, scale, chances);
    of = sample;
    return chances[static_cast<std::size_t>(c)];
  });
}

}  // namespace dpll
