#include "train/test_scores.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace dpll {
namespace {

// The mean of the recalls of the classes that `chosen` names and that occur in the test set.
template <typename Chosen>
double mean_recall(const std::vector<double>& recalls, Chosen&& chosen) {
  double sum = 0;
  int count = 0;
  for (std::size_t c = 0; c < recalls.size(); ++c) {
    if (std::isnan(recalls[c]) || !chosen(c)) continue;
    sum += recalls[c];
    ++count;
  }
  return count > 0 ? sum / count : TestScores::kNone;
}

}  // namespace

double calibration_error(const std::vector<float>& confidences, const std::vector<std::uint8_t>& right) {
  constexpr int kBins = 15;
  struct Bin {
    double confidence = 0, right = 0;
  };
  std::vector<Bin> bins(kBins);
  for (std::size_t i = 0; i < confidences.size(); ++i) {
    // A network whose logits are not finite has no confidence.
    if (!std::isfinite(confidences[i])) return TestScores::kNone;
    // The bins are open on the left, as in the article: (0, 1/15], (1/15, 2/15], ...
    const int bin = static_cast<int>(std::ceil(double{confidences[i]} * kBins)) - 1;
    Bin& of = bins[static_cast<std::size_t>(std::clamp(bin, 0, kBins - 1))];
    of.confidence += confidences[i];
    of.right += right[i];
  }
  double error = 0;
  for (const Bin& bin : bins) error += std::abs(bin.right - bin.confidence);
  return confidences.empty() ? TestScores::kNone : error / static_cast<double>(confidences.size());
}

std::vector<std::int64_t> class_sizes(const ImageSet& train, int classes) {
  if (!train.has_labels()) return {};
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(classes));
  for (const std::int32_t label : train.labels) {
    if (label < 0) return {};
    ++sizes[static_cast<std::size_t>(label)];
  }
  return sizes;
}

TestScorer::TestScorer(const DataSet& data, bool long_tailed)
    : labels_(data.test.labels),
      truths_(data.test.truths),
      classes_(static_cast<std::size_t>(data.classes)),
      top5_(data.classes > 5 && !labels_.empty() && truths_.empty()),
      sizes_(class_sizes(data.train, data.classes)) {
  constexpr std::int64_t kLongTail = 10;
  if (sizes_.empty()) return;
  const auto [smallest, largest] = std::minmax_element(sizes_.begin(), sizes_.end());
  if (!long_tailed && *largest < kLongTail * std::max<std::int64_t>(*smallest, 1)) sizes_.clear();
}

TestScores TestScorer::of(const EvaluationResult& result) const {
  TestScores scores;
  if (labels_.empty()) return scores;
  std::vector<float> confidences;
  std::vector<std::uint8_t> right;
  std::vector<double> found(classes_), all(classes_);
  std::int64_t in_top5 = 0;
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    const auto guess = static_cast<std::size_t>(result.predictions[i]);
    const auto label = static_cast<std::size_t>(labels_[i]);
    const bool known = labels_[i] >= 0;
    const std::uint8_t* const truths = truths_.empty() ? nullptr : &truths_[i * classes_];
    if (!known && (truths == nullptr || std::find(truths, truths + classes_, 1) == truths + classes_))
      continue;
    confidences.push_back(result.confidences[i]);
    right.push_back((known && guess == label) || (truths != nullptr && truths[guess] != 0));
    if (!known) continue;
    ++all[label];
    if (guess == label) ++found[label];
    if (!top5_) continue;
    const float* const row = &result.logits[i * classes_];
    // Among equals the first comes first, as in the arg max.
    std::size_t before = 0;
    for (std::size_t c = 0; c < classes_; ++c)
      before += row[c] > row[label] || (row[c] == row[label] && c < label);
    if (before < 5 && std::isfinite(row[label])) ++in_top5;
  }
  scores.calibration_error = calibration_error(confidences, right);
  if (!truths_.empty() || confidences.empty()) return scores;
  if (top5_) scores.top5_accuracy = static_cast<double>(in_top5) / static_cast<double>(confidences.size());
  std::vector<double> recalls;
  for (std::size_t c = 0; c < classes_; ++c) {
    recalls.push_back(all[c] > 0 ? found[c] / all[c] : TestScores::kNone);
  }
  scores.balanced_accuracy = mean_recall(recalls, [](std::size_t) { return true; });
  if (sizes_.empty()) return scores;
  constexpr std::int64_t kMany = 100, kFew = 20;
  scores.many_accuracy = mean_recall(recalls, [&](std::size_t c) { return sizes_[c] > kMany; });
  scores.few_accuracy = mean_recall(recalls, [&](std::size_t c) { return sizes_[c] < kFew; });
  scores.medium_accuracy =
      mean_recall(recalls, [&](std::size_t c) { return sizes_[c] >= kFew && sizes_[c] <= kMany; });
  return scores;
}

std::vector<double> class_priors(const std::vector<float>& targets, int classes) {
  std::vector<double> priors(static_cast<std::size_t>(classes));
  for (std::size_t i = 0; i < targets.size(); i += priors.size()) {
    for (std::size_t c = 0; c < priors.size(); ++c) priors[c] += targets[i + c];
  }
  const auto samples = static_cast<double>(targets.size() / priors.size());
  for (double& prior : priors) prior /= samples;
  return priors;
}

std::vector<double> label_shares(const ImageSet& train, int classes) {
  std::vector<double> shares;
  for (const std::int64_t size : class_sizes(train, classes)) {
    shares.push_back(static_cast<double>(size) / static_cast<double>(train.count));
  }
  return shares;
}

double total_variation(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty() || b.empty()) return TestScores::kNone;
  double sum = 0;
  for (std::size_t c = 0; c < a.size(); ++c) sum += std::abs(a[c] - b[c]);
  return sum / 2;
}

}  // namespace dpll
