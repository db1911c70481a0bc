// What is known of an epoch when it has ended: its row of metrics.csv and its line of the log.
#pragma once

#include <cstdint>
#include <string>
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
  EpochScores scores;
  int views = 1;
  double seconds = 0;  // of training
  std::int64_t skipped_steps = 0;
  int rollbacks = 0;  // of the run so far
  double loss_scale = 1;
};

// In the order of metrics_columns().
std::vector<double> epoch_row(const EpochFigures& epoch);
std::string epoch_line(const EpochFigures& epoch);

}  // namespace dpll
