#include "train/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "dpll/build_info.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "io/text.h"
#include "report/metrics_files.h"

namespace dpll {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kTestAccuracy = "test_accuracy";

std::size_t index_of(const History& history, const std::string& column) {
  const auto found = std::find(history.columns.begin(), history.columns.end(), column);
  DPLL_CHECK(found != history.columns.end(), "no column '{}'", column);
  return static_cast<std::size_t>(found - history.columns.begin());
}

bool was_evaluated(const History& history, const std::vector<double>& row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::string& column = history.columns[i];
    const bool of_evaluation = column == kTestAccuracy || column == "validation_accuracy" ||
                               column == selection_column(SelectionRule::covering_rate);
    if (of_evaluation && !std::isnan(row[i])) return true;
  }
  return false;
}

double mean_of(const LastTen& last, const std::string& column) {
  for (const auto& [name, mean] : last.means) {
    if (name == column) return mean;
  }
  return EpochScores::kNone;
}

std::optional<EpochChoice> last_epoch(const History& history) {
  if (history.rows.empty()) return std::nullopt;
  const std::vector<double>& row = history.rows.back();
  const double accuracy = row[index_of(history, kTestAccuracy)];
  return EpochChoice{static_cast<int>(row[index_of(history, "epoch")]), accuracy, accuracy};
}

Json as_json(const std::optional<EpochChoice>& choice, const char* measure) {
  if (!choice) return Json();
  Json json = {{"epoch", choice->epoch}, {kTestAccuracy, json_number(choice->test_accuracy)}};
  if (measure != nullptr) json[measure] = json_number(choice->value);
  return json;
}

}  // namespace

const char* selection_column(SelectionRule rule) {
  return rule == SelectionRule::covering_rate ? "selection_covering_rate" : "selection_approximated_accuracy";
}

std::optional<EpochChoice> best_epoch(const History& history, const std::string& column) {
  const std::size_t epoch = index_of(history, "epoch"), value = index_of(history, column),
                    accuracy = index_of(history, kTestAccuracy);
  std::optional<EpochChoice> best;
  for (const std::vector<double>& row : history.rows) {
    if (std::isnan(row[value]) || (best && !(row[value] > best->value))) continue;
    best = EpochChoice{static_cast<int>(row[epoch]), row[value], row[accuracy]};
  }
  return best;
}

LastTen last_ten_epochs(const History& history) {
  constexpr std::size_t kMost = 10;
  std::vector<const std::vector<double>*> rows;  // from the last one on
  for (auto row = history.rows.rbegin(); row != history.rows.rend() && rows.size() < kMost; ++row) {
    if (was_evaluated(history, *row)) rows.push_back(&*row);
  }
  LastTen last;
  if (rows.empty()) return last;
  const std::size_t epoch = index_of(history, "epoch");
  last.epochs = static_cast<int>(rows.size());
  last.first = static_cast<int>((*rows.back())[epoch]);
  last.last = static_cast<int>((*rows.front())[epoch]);
  for (std::size_t i = 0; i < history.columns.size(); ++i) {
    const std::string& column = history.columns[i];
    if (!column.ends_with("_loss") && !column.ends_with("_accuracy")) continue;
    double sum = 0;
    int count = 0;
    for (const std::vector<double>* row : rows) {
      if (std::isnan((*row)[i])) continue;
      sum += (*row)[i];
      ++count;
    }
    last.means.emplace_back(column, count > 0 ? sum / count : EpochScores::kNone);
  }
  return last;
}

void add_accuracies(Json& summary, const History& history, SelectionRule kept, std::int64_t held_out) {
  Json last;
  for (std::size_t i = 0; i < history.columns.size() && !history.rows.empty(); ++i) {
    last[history.columns[i]] = json_number(history.rows.back()[i]);
  }
  summary["last_epoch"] = last;
  const LastTen last_ten = last_ten_epochs(history);
  Json& means = summary["last_ten_epochs"];
  if (last_ten.epochs > 0) {
    means = {{"epochs", last_ten.epochs}, {"first", last_ten.first}, {"last", last_ten.last}};
    for (const auto& [column, mean] : last_ten.means) means[column] = json_number(mean);
  }
  const std::optional<EpochChoice> best = best_epoch(history, kTestAccuracy);
  // The test set selected this epoch, so no protocol may report it as a result.
  if (best) summary["oracle_best_epoch"] = {{"epoch", best->epoch}, {kTestAccuracy, best->test_accuracy}};

  Json protocols;
  protocols["last_epoch"] = as_json(last_epoch(history), nullptr);
  protocols["last_ten_epochs"] = Json();
  if (last_ten.epochs > 0) {
    protocols["last_ten_epochs"] = {{"epochs", last_ten.epochs},
                                    {kTestAccuracy, json_number(mean_of(last_ten, kTestAccuracy))}};
  }
  protocols["best_epoch"] = as_json(best, nullptr);
  if (best) protocols["best_epoch"]["oracle"] = true;
  for (const SelectionRule rule : {SelectionRule::covering_rate, SelectionRule::approximated_accuracy}) {
    const std::string name = to_string(rule);
    protocols[name] = as_json(best_epoch(history, selection_column(rule)), name.c_str());
  }
  protocols["held_out_samples"] = held_out;
  protocols["kept_by"] = held_out > 0 ? Json(to_string(kept)) : Json();
  summary["protocols"] = std::move(protocols);
}

std::vector<std::string> accuracy_lines(const History& history) {
  std::vector<std::string> lines;
  const auto add = [&](const char* rule, const std::optional<EpochChoice>& choice, bool measured) {
    if (!choice || std::isnan(choice->test_accuracy)) return;
    const std::string measure = measured ? fmt::format(", {:.2f}% held out", 100 * choice->value) : "";
    lines.push_back(fmt::format("test accuracy {:6.2f}%  {:<42} (epoch {}{})", 100 * choice->test_accuracy,
                                rule, choice->epoch, measure));
  };
  add("last epoch", last_epoch(history), false);
  const LastTen last_ten = last_ten_epochs(history);
  const double mean = mean_of(last_ten, kTestAccuracy);
  if (last_ten.epochs > 1 && !std::isnan(mean)) {
    lines.push_back(fmt::format("test accuracy {:6.2f}%  {:<42} (epochs {} to {})", 100 * mean,
                                fmt::format("mean of the last {} evaluated epochs", last_ten.epochs),
                                last_ten.first, last_ten.last));
  }
  add("best epoch, oracle: the test set chose it", best_epoch(history, kTestAccuracy), false);
  add("selected by covering rate", best_epoch(history, selection_column(SelectionRule::covering_rate)), true);
  add("selected by approximated accuracy",
      best_epoch(history, selection_column(SelectionRule::approximated_accuracy)), true);
  return lines;
}

namespace {

class SummaryListener final : public RunListener {
 public:
  SummaryListener(const Session& session, const std::string& path, Log& log)
      : session_(session), path_(path), log_(log) {}

  std::string name() const override { return "summary"; }
  bool required() const override { return true; }

  void finish(const RunState& state) override {
    write_file_atomically(path_, summary_of(state));
    for (const std::string& line : accuracy_lines(state.history)) log_.line(line);
  }

 private:
  std::string summary_of(const RunState& state) const {
    const RunConfig& config = session_.config;
    Json summary;
    summary["name"] = escaped(config.run.name);  // JSON is UTF-8, the name of a folder need not be
    summary["network"] = session_.network->name();
    summary["parameters"] = session_.network->state().parameter_count();
    summary["data"] = session_.data.kind;
    summary["training_samples"] = session_.data.train.count;
    summary["candidates_mean_size"] = session_.candidates.mean_size();
    summary["identity"] = session_.identity;
    summary["epochs"] = state.epochs;
    summary["steps"] = state.steps;
    add_accuracies(summary, state.history, config.evaluation.selection, session_.evaluation.held_out());
    if (session_.has_priors()) summary["class_priors"] = priors();
    if (session_.ranks != nullptr) {
      summary["ranks"] = {
          {"count", session_.ranks->size()},   {"hosts", session_.hosts},
          {"devices", session_.devices},       {"batch_norm", to_string(config.parallel.batch_norm)},
          {"seconds_waited", session_.waited}, {"share_of_time_waited", session_.waited_shares}};
    }
    summary["seconds"] = state.seconds;
    summary["backend"] = session_.backend->description();
    summary["version"] = DPLL_VERSION;
    summary["commit"] = DPLL_COMMIT;
    summary["compiler"] = DPLL_COMPILER;
    return summary.dump(2) + "\n";
  }

  // The classes' shares as the targets have them, and as the labels have them where they are known.
  Json priors() const {
    const int classes = session_.data.classes;
    const std::vector<double> estimated = class_priors(session_.step.targets(), classes),
                              labels = label_shares(session_.data.train, classes);
    return {{"estimated", estimated},
            {"of_labels", labels.empty() ? Json() : Json(labels)},
            {"distance", json_number(total_variation(estimated, labels))}};
  }

  const Session& session_;
  std::string path_;
  Log& log_;
};

}  // namespace

std::unique_ptr<RunListener> make_summary_listener(const Session& session, const std::string& path,
                                                   Log& log) {
  return std::make_unique<SummaryListener>(session, path, log);
}

}  // namespace dpll
