// Balanced, top-5 and group accuracies, calibration error, class priors, against values computed by hand.
#include "train/test_scores.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "support/doctest.h"

using namespace dpll;
using doctest::Approx;

namespace {

// Training samples of each class, and the labels of a test set.
DataSet tested_data(const std::vector<int>& sizes, const std::vector<std::int32_t>& test) {
  DataSet data;
  data.classes = static_cast<int>(sizes.size());
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    data.train.labels.insert(data.train.labels.end(), static_cast<std::size_t>(sizes[c]),
                             static_cast<std::int32_t>(c));
  }
  data.train.count = static_cast<std::int64_t>(data.train.labels.size());
  data.test.labels = test;
  data.test.count = static_cast<std::int64_t>(test.size());
  return data;
}

EvaluationResult predicted(const std::vector<std::int32_t>& predictions) {
  EvaluationResult result;
  result.predictions = predictions;
  result.confidences.assign(predictions.size(), 0.5F);
  return result;
}

}  // namespace

TEST_CASE("test scores: the calibration error of the article, by hand") {
  // Bins of 1/15: 0.95 and 1 in the last, 0.5 in the eighth, 1/15 in the first.
  const float first = 1.0F / 15;
  CHECK(calibration_error({0.95F, 1, 0.5F, first}, {1, 0, 1, 0}) ==
        Approx((std::abs(1 - 1.95) + std::abs(1 - 0.5) + first) / 4).epsilon(1e-6));
  // Errors of opposite sign cancel within a bin and not across bins.
  CHECK(calibration_error({0.5F, 0.5F}, {1, 0}) == Approx(0));
  CHECK(calibration_error({0.5F, 0.6F}, {1, 0}) == Approx((0.5 + 0.6) / 2).epsilon(1e-6));
  CHECK(calibration_error({1, 1}, {1, 1}) == 0);
  CHECK(std::isnan(calibration_error({}, {})));
  CHECK(std::isnan(calibration_error({0.5F, std::nanf("")}, {1, 0})));
}

TEST_CASE("test scores: many, medium and few by the sizes of the training classes, means of recalls") {
  //                              many      medium   medium  few
  const DataSet data = tested_data({500, 101, 100, 20, 19, 1}, {0, 0, 0, 0, 1, 2, 2, 3, 4, 4});
  const TestScorer scorer(data, false);
  EvaluationResult result = predicted({0, 0, 0, 1, 0, 2, 1, 3, 4, 0});
  CHECK(scorer.wants_logits());
  result.logits.assign(60, 0);
  const TestScores scores = scorer.of(result);
  CHECK(scores.many_accuracy == Approx((0.75 + 0) / 2));
  CHECK(scores.medium_accuracy == Approx((0.5 + 1) / 2));
  CHECK(scores.few_accuracy == Approx(0.5));  // class 5 does not occur in the test set
  CHECK(scores.balanced_accuracy == Approx((0.75 + 0 + 0.5 + 1 + 0.5) / 5));
}

TEST_CASE(
    "test scores: groups are for long-tailed sets, top 5 for more than five classes, all for known labels") {
  const TestScores even = TestScorer(tested_data({9, 9, 1}, {0, 1, 2}), false).of(predicted({0, 1, 0}));
  CHECK(std::isnan(even.many_accuracy));
  CHECK(std::isnan(even.few_accuracy));
  CHECK(std::isnan(even.top5_accuracy));
  CHECK(even.balanced_accuracy == Approx(2.0 / 3));
  CHECK(TestScorer(tested_data({9, 9, 1}, {0, 1, 2}), true).of(predicted({0, 1, 0})).few_accuracy ==
        Approx(2.0 / 3));
  CHECK(TestScorer(tested_data({10, 9, 1}, {0, 1, 2}), false).of(predicted({0, 1, 0})).few_accuracy ==
        Approx(2.0 / 3));
  CHECK_FALSE(TestScorer(tested_data({1, 1, 1, 1, 1}, {0}), false).wants_logits());
  const TestScorer without(tested_data({1, 1, 1, 1, 1, 1}, {}), false);
  CHECK_FALSE(without.wants_logits());
  CHECK(std::isnan(without.of(predicted({})).balanced_accuracy));
  // Samples without a label count nowhere.
  const TestScores partly = TestScorer(tested_data({9, 9, 1}, {0, -1, 2}), false).of(predicted({0, 1, 2}));
  CHECK(partly.balanced_accuracy == 1);
  CHECK(partly.calibration_error == Approx(0.5));
}

TEST_CASE("test scores: the truth is among the five likeliest, equals in their order") {
  const DataSet data = tested_data({1, 1, 1, 1, 1, 1, 1}, {0, 4, 5, 6});
  EvaluationResult result = predicted({6, 0, 0, 0});
  result.logits = {1, 2, 3, 4, 5, 6, 7,   // class 0 is the last
                   0, 0, 0, 0, 0, 0, 0,   // class 4 is the fifth of equals
                   0, 0, 0, 0, 0, 0, 0,   // class 5 the sixth
                   9, 0, 0, 0, 0, 0, 1};  // class 6 the second
  CHECK(TestScorer(data, false).of(result).top5_accuracy == Approx(0.5));
}

TEST_CASE("test scores: of several true labels any counts for the calibration, other figures are not there") {
  DataSet data = tested_data({5, 5}, {-1, 0});
  data.test.truths = {1, 1, 1, 0};
  const TestScores scores = TestScorer(data, false).of(predicted({1, 0}));
  CHECK(scores.calibration_error == Approx(0.5));  // both are right, each with confidence 0.5
  CHECK(std::isnan(scores.balanced_accuracy));
}

TEST_CASE("class priors: the mean target, and its distance from the labels' shares") {
  const std::vector<double> priors = class_priors({0.5F, 0.5F, 0, 1, 0, 0}, 3);
  CHECK(priors == std::vector<double>{0.75, 0.25, 0});
  const DataSet data = tested_data({2, 1, 1}, {});
  const std::vector<double> shares = label_shares(data.train, 3);
  CHECK(shares == std::vector<double>{0.5, 0.25, 0.25});
  CHECK(total_variation(priors, shares) == Approx(0.25));
  CHECK(total_variation(priors, priors) == 0);
  CHECK(std::isnan(total_variation(priors, {})));
  ImageSet unknown = data.train;
  unknown.labels[0] = -1;
  CHECK(label_shares(unknown, 3).empty());
}

TEST_CASE("test scores: the distance of two shares is half the sum of differences, and NaN without one") {
  CHECK(total_variation({0.5, 0.5, 0}, {0.25, 0.25, 0.5}) == 0.5);
  CHECK(total_variation({1, 0}, {0, 1}) == 1);
  CHECK(std::isnan(total_variation({}, {1})));
  CHECK(std::isnan(total_variation({1}, {})));
}
