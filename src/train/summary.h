// The protocols for reporting the test accuracy: which epoch each rule selects.
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
  double value = 0;          // of the measure that selected it
  double test_accuracy = 0;  // NaN if that epoch has none
};

// The column of a rule's measure.
const char* selection_column(SelectionRule rule);
// The epoch with the largest value of a column, the earliest among equals; none if the column is empty.
std::optional<EpochChoice> best_epoch(const History& history, const std::string& column);

// Adds the last row as "last_epoch", the means of "last_ten_epochs" with "first", "last" and the number of
// "epochs", the best test accuracy as "oracle_best_epoch" (where there is one), and all rules as "protocols":
// last_epoch, last_ten_epochs, best_epoch (oracle), covering_rate, approximated_accuracy; null if a rule has
// no values to select by.
void add_accuracies(nlohmann::ordered_json& summary, const History& history, SelectionRule kept,
                    std::int64_t held_out);
// Means over the last ten evaluated epochs, or over all of them if there are fewer.
struct LastTen {
  int epochs = 0;           // how many; 0: none was evaluated
  int first = 0, last = 0;  // from 1
  // The mean of every loss and accuracy, by column; NaN if none of these epochs has it.
  std::vector<std::pair<std::string, double>> means;
};
LastTen last_ten_epochs(const History& history);
// The accuracies for the log; no lines without a test accuracy.
std::vector<std::string> accuracy_lines(const History& history);

// summary.json: figures, versions, and hashes of data and settings. It is written when all epochs are done
// and shows that they are: without it the run has failed. Then the accuracies are logged.
std::unique_ptr<RunListener> make_summary_listener(const Session& session, const std::string& path, Log& log);

}  // namespace dpll
