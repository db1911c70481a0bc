// The charts of a run, drawn from its metrics.csv.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dpll/chart.h"

namespace dpll {

// The metrics table of a run, one row per epoch. The trainer writes the columns epoch, steps, lr, lambda,
// train_loss, supervised_loss, consistency_loss, train_accuracy, pseudo_label_accuracy, covering_rate,
// target_entropy, target_change, target_max, validation_loss, validation_accuracy, test_loss, test_accuracy,
// ema_test_accuracy, selection_covering_rate, selection_approximated_accuracy, images_per_second, seconds,
// nonfinite; charts leave out missing columns. `epoch` counts completed epochs from 1; accuracies and rates
// are fractions in [0, 1], shown as percent.
struct History {
  std::vector<std::string> columns;
  std::vector<std::vector<double>> rows;  // [rows, columns]; NaN = empty
};

// Writes loss.png, accuracy.png and schedule.png into `folder`, atomically. Error(run) when a file cannot be
// written.
void draw_run_charts(const History& history, const std::string& run_name, const std::string& folder);
// One line for every run (name, metrics). Error(data) when a run has no such column.
Chart compare_runs_chart(const std::vector<std::pair<std::string, History>>& runs,
                         const std::string& y_column);
// One header line, then rows with the same number of fields, separated by commas; a field is a number or
// empty. Error(data) names file and line.
History read_metrics_csv(const std::string& path);

}  // namespace dpll
