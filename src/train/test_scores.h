// What is measured of the predictions for a test set besides accuracy and loss.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "dpll/data.h"
#include "train/evaluator.h"

namespace dpll {

// NaN where a figure does not make sense for the data.
struct TestScores {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double balanced_accuracy = kNone;  // mean of the classes' recalls
  double top5_accuracy = kNone;      // the truth is one of the five likeliest; of 6 classes and more
  double calibration_error = kNone;  // see calibration_error()
  // Means of the recalls of classes with more than 100, with 20 to 100, and with fewer than 20 training
  // samples, of a long-tailed training set (Liu et al., "Large-Scale Long-Tailed Recognition in an Open
  // World", CVPR 2019).
  double many_accuracy = kNone, medium_accuracy = kNone, few_accuracy = kNone;
};

// Expected calibration error with 15 bins of equal width (Guo et al., "On Calibration of Modern Neural
// Networks", ICML 2017): sum over the bins of their share of the samples times |accuracy - mean confidence|.
// right[i] is 0 or 1. NaN without samples and where a
// confidence is not finite.
double calibration_error(const std::vector<float>& confidences, const std::vector<std::uint8_t>& right);

// The number of training samples of each class; empty if a label is not known.
std::vector<std::int64_t> class_sizes(const ImageSet& train, int classes);

class TestScorer {
 public:
  // `long_tailed`: data.imbalance was given; else the set counts as long-tailed if its largest class has at
  // least ten times the samples of its smallest.
  TestScorer(const DataSet& data, bool long_tailed);

  bool wants_logits() const { return top5_; }
  // Of the test samples with one true label; of sets with several of a sample only the calibration error is
  // measured, a prediction being right if it is one of them.
  TestScores of(const EvaluationResult& result) const;

 private:
  std::vector<std::int32_t> labels_;
  std::vector<std::uint8_t> truths_;  // of ImageSet
  std::size_t classes_;
  bool top5_;
  std::vector<std::int64_t> sizes_;  // class_sizes() of a long-tailed set, else empty
};

// The mean of the rows of a table of targets [samples, classes]: an estimate of the classes' shares.
std::vector<double> class_priors(const std::vector<float>& targets, int classes);
// The classes' shares among the training labels; empty if a label is not known.
std::vector<double> label_shares(const ImageSet& train, int classes);
// Half the sum of the absolute differences; NaN if one of them is empty.
double total_variation(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace dpll
