// The tables that a run leaves: metrics.csv and metrics.jsonl (a row an epoch), steps.csv, labels.csv.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/data.h"
#include "dpll/run_charts.h"

namespace dpll {

// The columns of metrics.csv, in order.
const std::vector<std::string>& metrics_columns();

// The same rows with these columns; cells of a column that the history lacks are NaN. For the history of a
// checkpoint that an earlier version wrote.
History with_columns(const History& history, const std::vector<std::string>& columns);

// Both files, atomically, from the whole history.
void write_metrics(const History& history, const std::string& csv_path, const std::string& jsonl_path);

// Adds the last row of the history to both files, which hold those before it. False where one of them is not
// there or does not take the whole row: then write_metrics() makes them whole.
bool append_metrics(const History& history, const std::string& csv_path, const std::string& jsonl_path);

// steps.csv: "step,epoch,loss,supervised_loss,consistency_loss,lr,lambda", appended row by row.
class StepsFile {
 public:
  // Keeps the rows of an earlier part of the run up to step `done`; later ones are steps that will be done
  // again.
  StepsFile(const std::string& path, std::int64_t done);
  void add(std::int64_t step, int epoch, double loss, double supervised, double consistency, double lr,
           double lambda);
  // Removes the later rows of a file that gets no new ones, if there is one.
  static void cut(const std::string& path, std::int64_t done);

 private:
  static std::string rows_until(const std::string& path, std::int64_t done);

  std::string path_;
};

// labels.csv: "sample,candidates,label,probability": the index in the source, the candidate set separated by
// spaces, the disambiguated label (largest target) and its target value. Where training takes a part of the
// source whose indices are not 0, 1, 2, ..., "sample,position,candidates,...": the position within the part.
void write_labels(const std::string& path, const DataSet& data, const CandidateSets& candidates,
                  const std::vector<float>& targets);

}  // namespace dpll
