#include "report/epoch_figures.h"

#include <algorithm>
#include <iterator>

namespace dpll {
namespace {

struct EpochColumn {
  const char* name;
  const char* tag;  // of TensorBoard; empty: it is not shown there
  double (*value)(const EpochFigures& epoch);
};

// Old tables are read by these names. Add new columns at the end.
constexpr EpochColumn kEpochColumns[] = {
    {"epoch", "", [](const EpochFigures& e) { return double(e.epoch); }},
    {"steps", "", [](const EpochFigures& e) { return double(e.steps); }},
    {"lr", "schedule/learning_rate", [](const EpochFigures& e) { return e.learning_rate; }},
    {"lambda", "schedule/lambda", [](const EpochFigures& e) { return e.lambda; }},
    {"train_loss", "loss/total", [](const EpochFigures& e) { return e.mean(e.sums.total); }},
    {"supervised_loss", "loss/supervised",
     [](const EpochFigures& e) { return e.mean_term(e.sums.supervised); }},
    {"consistency_loss", "loss/consistency",
     [](const EpochFigures& e) { return e.mean_term(e.sums.consistency); }},
    {"train_accuracy", "accuracy/train",
     [](const EpochFigures& e) { return e.share_of_labelled(e.sums.train_correct); }},
    {"pseudo_label_accuracy", "accuracy/pseudo_labels",
     [](const EpochFigures& e) { return e.share_of_labelled(e.sums.pseudo_correct); }},
    {"covering_rate", "accuracy/covering_rate", [](const EpochFigures& e) { return e.mean(e.sums.covered); }},
    {"target_entropy", "targets/entropy",
     [](const EpochFigures& e) { return e.mean(e.sums.target_entropy); }},
    {"target_change", "targets/change", [](const EpochFigures& e) { return e.mean(e.sums.target_changed); }},
    {"target_max", "targets/max", [](const EpochFigures& e) { return e.mean(e.sums.target_max); }},
    {"validation_loss", "loss/validation", [](const EpochFigures& e) { return e.scores.validation_loss; }},
    {"validation_accuracy", "accuracy/validation",
     [](const EpochFigures& e) { return e.scores.validation_accuracy; }},
    {"test_loss", "loss/test", [](const EpochFigures& e) { return e.scores.test_loss; }},
    {"test_accuracy", "accuracy/test", [](const EpochFigures& e) { return e.scores.test_accuracy; }},
    {"ema_test_accuracy", "accuracy/test_ema",
     [](const EpochFigures& e) { return e.scores.average_test_accuracy; }},
    {"selection_covering_rate", "selection/covering_rate",
     [](const EpochFigures& e) { return e.scores.selection.covering_rate; }},
    {"selection_approximated_accuracy", "selection/approximated_accuracy",
     [](const EpochFigures& e) { return e.scores.selection.approximated_accuracy; }},
    {"images_per_second", "speed/images_per_second",
     [](const EpochFigures& e) { return e.images_per_second(); }},
    {"seconds", "speed/epoch_seconds", [](const EpochFigures& e) { return e.seconds; }},
    {"nonfinite", "guard/nonfinite", [](const EpochFigures& e) { return e.sums.nonfinite; }},
    {"skipped_steps", "guard/skipped_steps", [](const EpochFigures& e) { return double(e.skipped_steps); }},
    {"loss_scale", "guard/loss_scale", [](const EpochFigures& e) { return e.loss_scale; }},
    {"rollbacks", "guard/rollbacks", [](const EpochFigures& e) { return double(e.rollbacks); }},
    {"test_balanced_accuracy", "accuracy/test_balanced",
     [](const EpochFigures& e) { return e.scores.test.balanced_accuracy; }},
    {"test_top5_accuracy", "accuracy/test_top5",
     [](const EpochFigures& e) { return e.scores.test.top5_accuracy; }},
    {"test_many_accuracy", "accuracy/test_many",
     [](const EpochFigures& e) { return e.scores.test.many_accuracy; }},
    {"test_medium_accuracy", "accuracy/test_medium",
     [](const EpochFigures& e) { return e.scores.test.medium_accuracy; }},
    {"test_few_accuracy", "accuracy/test_few",
     [](const EpochFigures& e) { return e.scores.test.few_accuracy; }},
    {"test_calibration_error", "calibration/test_error",
     [](const EpochFigures& e) { return e.scores.test.calibration_error; }},
    {"prior_distance", "targets/prior_distance", [](const EpochFigures& e) { return e.prior_distance; }},
};

}  // namespace

std::vector<std::string> metrics_columns(const std::vector<std::string>& of_method) {
  std::vector<std::string> names;
  for (const EpochColumn& column : kEpochColumns) names.emplace_back(column.name);
  names.insert(names.end(), of_method.begin(), of_method.end());
  return names;
}

std::vector<double> epoch_row(const EpochFigures& epoch) {
  std::vector<double> row;
  for (const EpochColumn& column : kEpochColumns) row.push_back(column.value(epoch));
  for (const auto& [name, value] : epoch.of_method) row.push_back(value);
  return row;
}

std::string tensorboard_tag(const std::string& column) {
  const auto* found = std::find_if(std::begin(kEpochColumns), std::end(kEpochColumns),
                                   [&](const EpochColumn& common) { return column == common.name; });
  return found != std::end(kEpochColumns) ? found->tag : "method/" + column;
}

}  // namespace dpll
