// The protocols side by side: which epoch's test accuracy a run may report, by which rule.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dpll/config.h"
#include "dpll/run_charts.h"
#include "report/log.h"
#include "report/run_listener.h"
#include "train/session.h"

namespace dpll {

struct EpochChoice {
  int epoch = 0;             // from 1
  double value = 0;          // of the measure that chose it
  double test_accuracy = 0;  // NaN where that epoch had none
};

// The column of a rule's measure.
const char* selection_column(SelectionRule rule);
// The epoch with the greatest value of a column, the earliest among equals; none when the column is empty.
std::optional<EpochChoice> best_epoch(const History& history, const std::string& column);

// Adds the last row as "last_epoch", the means of "last_ten_epochs" with "first", "last" and the number of
// "epochs", the best test accuracy as "oracle_best_epoch" (where there is one), and all rules as "protocols":
// last_epoch, last_ten_epochs, best_epoch (oracle), covering_rate, approximated_accuracy; null where a rule
// has nothing to go by.
void add_accuracies(nlohmann::ordered_json& summary, const History& history, SelectionRule kept,
                    std::int64_t held_out);
// Means over the last ten epochs that were evaluated, of all of them where there are fewer.
struct LastTen {
  int epochs = 0;           // how many; 0: none was evaluated
  int first = 0, last = 0;  // from 1
  // Of every loss and accuracy, by column; NaN where none of these epochs has it.
  std::vector<std::pair<std::string, double>> means;
};
LastTen last_ten_epochs(const History& history);
// The accuracies for the log; no lines without a test accuracy.
std::vector<std::string> accuracy_lines(const History& history);

// summary.json: figures, versions, and what ties them to data and settings. Written when all epochs are done,
// which it stands for: without it the run has failed. Then the accuracies go to the log.
std::unique_ptr<RunListener> make_summary_listener(const Session& session, const std::string& path, Log& log);

}  // namespace dpll
