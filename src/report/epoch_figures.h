// What is known of an epoch when it has ended, and the columns of metrics.csv that are made of it.
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
  bool has_terms = true;  // is the loss of a supervised and a consistency term?
  EpochScores scores;
  int views = 1;
  double seconds = 0;  // of training
  std::int64_t skipped_steps = 0;
  int rollbacks = 0;  // of the run so far
  double loss_scale = 1;
  // What the method measures besides, by name: the columns behind the common ones.
  std::vector<std::pair<std::string, double>> of_method = {};

  // Of one of the sums, over the samples.
  double mean(double sum) const { return sum / sums.samples; }
  double mean_term(double sum) const { return has_terms ? mean(sum) : EpochScores::kNone; }
  // Of a count among the samples whose true label is known; NaN: there are none.
  double share_of_labelled(double count) const {
    return sums.labelled > 0 ? count / sums.labelled : EpochScores::kNone;
  }
  double images_per_second() const { return sums.samples * views / seconds; }
};

// The columns of metrics.csv, in order: the common ones, then those of the method.
std::vector<std::string> metrics_columns(const std::vector<std::string>& of_method = {});
// The row of metrics.csv: a cell for each of metrics_columns() with the names of `epoch.of_method`.
std::vector<double> epoch_row(const EpochFigures& epoch);
// The tag under which TensorBoard shows a column: "loss/test" for test_loss. Empty for the columns that count
// (epoch, steps); "method/NAME" for one that is not among the common ones.
std::string tensorboard_tag(const std::string& column);

}  // namespace dpll
