// The tables that a run leaves: metrics.csv and metrics.jsonl (a row an epoch), labels.csv.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/candidates.h"
#include "dpll/data.h"
#include "dpll/run_charts.h"

namespace dpll {

// Of a cell: the shortest text that reads back as the same double; empty for NaN.
std::string table_number(double x);

// The same rows with these columns; cells of a column that the history lacks are NaN. For the history of a
// checkpoint that an earlier version wrote.
History with_columns(const History& history, const std::vector<std::string>& columns);

// Both files, atomically, from the whole history.
void write_metrics(const History& history, const std::string& csv_path, const std::string& jsonl_path);

// Adds the last row of the history to both files, which hold those before it. False where one of them is not
// there or does not take the whole row: then write_metrics() makes them whole.
bool append_metrics(const History& history, const std::string& csv_path, const std::string& jsonl_path);

// labels.csv: "sample,candidates,label,probability": the index in the source, the candidate set separated by
// spaces, the disambiguated label (largest target) and its target value. Where training takes a part of the
// source whose indices are not 0, 1, 2, ..., "sample,position,candidates,...": the position within the part.
// Where samples are files, "sample,file,candidates,label,name,probability".
void write_labels(const std::string& path, const DataSet& data, const CandidateSets& candidates,
                  const std::vector<float>& targets);

// The rows of a run's labels.csv, least certain first: by probability, equal ones in their order. Returns how
// many there are. Error(data): not such a file.
std::int64_t write_review(const std::string& labels_path, const std::string& review_path);

}  // namespace dpll
