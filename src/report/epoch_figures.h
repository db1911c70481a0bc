// The values of a finished epoch, and the columns of metrics.csv that are computed from them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "dpll/ops/pll_objective.h"
#include "train/run_evaluation.h"

namespace dpll {

struct EpochFigures {
  int epoch = 0, epochs = 0;  // from 1
  std::int64_t steps = 0;     // of the run so far
  double learning_rate = 0;   // of the last step
  double lambda = 0;
  ObjectiveMetrics sums;  // over the epoch
  bool has_terms = true;  // does the loss have a supervised and a consistency term?
  EpochScores scores;
  int views = 1;
  double seconds = 0;  // of training
  std::int64_t skipped_steps = 0;
  int rollbacks = 0;  // of the run so far
  double loss_scale = 1;
  // Total variation distance of the mean target from the shares of the training labels; NaN if not measured.
  double prior_distance = EpochScores::kNone;
  // Additional values of the method, by name: the columns after the common ones.
  std::vector<std::pair<std::string, double>> of_method = {};

  // The mean of one of the sums over the samples.
  double mean(double sum) const { return sum / sums.samples; }
  double mean_term(double sum) const { return has_terms ? mean(sum) : EpochScores::kNone; }
  // The share of a count among the samples with a known true label; NaN if there are none.
  double share_of_labelled(double count) const {
    return sums.labelled > 0 ? count / sums.labelled : EpochScores::kNone;
  }
  double images_per_second() const { return sums.samples * views / seconds; }
};

// The columns of metrics.csv, in order: the common ones, then those of the method.
std::vector<std::string> metrics_columns(const std::vector<std::string>& of_method = {});
// The row of metrics.csv: one cell for each of metrics_columns() with the names of `epoch.of_method`.
std::vector<double> epoch_row(const EpochFigures& epoch);
// The tag under which TensorBoard shows a column: "loss/test" for test_loss. Empty for the columns that count
// (epoch, steps); "method/NAME" for a column of the method.
std::string tensorboard_tag(const std::string& column);

}  // namespace dpll
