#include "report/epoch_figures.h"

namespace dpll {
namespace {

struct EpochColumn {
  const char* name;
  double (*value)(const EpochFigures& epoch);
};

// Old tables are read by these names, and new columns come behind them.
constexpr EpochColumn kEpochColumns[] = {
    {"epoch", [](const EpochFigures& e) { return double(e.epoch); }},
    {"steps", [](const EpochFigures& e) { return double(e.steps); }},
    {"lr", [](const EpochFigures& e) { return e.learning_rate; }},
    {"lambda", [](const EpochFigures& e) { return e.lambda; }},
    {"train_loss", [](const EpochFigures& e) { return e.mean(e.sums.total); }},
    {"supervised_loss", [](const EpochFigures& e) { return e.mean(e.sums.supervised); }},
    {"consistency_loss", [](const EpochFigures& e) { return e.mean(e.sums.consistency); }},
    {"train_accuracy", [](const EpochFigures& e) { return e.share_of_labelled(e.sums.train_correct); }},
    {"pseudo_label_accuracy",
     [](const EpochFigures& e) { return e.share_of_labelled(e.sums.pseudo_correct); }},
    {"covering_rate", [](const EpochFigures& e) { return e.mean(e.sums.covered); }},
    {"target_entropy", [](const EpochFigures& e) { return e.mean(e.sums.target_entropy); }},
    {"target_change", [](const EpochFigures& e) { return e.mean(e.sums.target_changed); }},
    {"target_max", [](const EpochFigures& e) { return e.mean(e.sums.target_max); }},
    {"validation_loss", [](const EpochFigures& e) { return e.scores.validation_loss; }},
    {"validation_accuracy", [](const EpochFigures& e) { return e.scores.validation_accuracy; }},
    {"test_loss", [](const EpochFigures& e) { return e.scores.test_loss; }},
    {"test_accuracy", [](const EpochFigures& e) { return e.scores.test_accuracy; }},
    {"ema_test_accuracy", [](const EpochFigures& e) { return e.scores.average_test_accuracy; }},
    {"selection_covering_rate", [](const EpochFigures& e) { return e.scores.selection.covering_rate; }},
    {"selection_approximated_accuracy",
     [](const EpochFigures& e) { return e.scores.selection.approximated_accuracy; }},
    {"images_per_second", [](const EpochFigures& e) { return e.images_per_second(); }},
    {"seconds", [](const EpochFigures& e) { return e.seconds; }},
    {"nonfinite", [](const EpochFigures& e) { return e.sums.nonfinite; }},
    {"skipped_steps", [](const EpochFigures& e) { return double(e.skipped_steps); }},
    {"loss_scale", [](const EpochFigures& e) { return e.loss_scale; }},
    {"rollbacks", [](const EpochFigures& e) { return double(e.rollbacks); }},
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

}  // namespace dpll
