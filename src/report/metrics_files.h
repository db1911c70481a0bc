// The tables of a run: metrics.csv and metrics.jsonl (one row per epoch), labels.csv.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dpll/candidates.h"
#include "dpll/data.h"
#include "dpll/run_charts.h"

namespace dpll {

// The text of a cell: the shortest one that reads back as the same double; empty for NaN.
std::string table_number(double x);

// The same in JSON: null for NaN, an integer for a whole number, so that an epoch is 6 and not 6.0.
nlohmann::ordered_json json_number(double x);

// The same rows with these columns; cells of a column that the history does not have are NaN. For the history
// in a checkpoint of an earlier version.
History with_columns(const History& history, const std::vector<std::string>& columns);

// Writes both files atomically from the whole history.
void write_metrics(const History& history, const std::string& csv_path, const std::string& jsonl_path);

// Appends the last row of the history to both files, which have the rows before it. False if one of the files
// does not exist or the row could not be written completely; write_metrics() then repairs them.
bool append_metrics(const History& history, const std::string& csv_path, const std::string& jsonl_path);

// labels.csv: "sample,candidates,label,probability,posterior,miss": the index in the source, the candidate
// set separated by spaces, the disambiguated label (largest target), its target value, the target value of
// every candidate ("0:0.75 3:0.25"), and the probability that the trained network gives to labels outside of
// the set
// (`misses`; empty: they are not known, and the fields are empty). If training uses a part of the source
// whose indices are not 0, 1, 2, ..., the columns are "sample,position,candidates,...", with the position in
// the part. If samples are files, they are "sample,file,candidates,label,name,probability,...".
void write_labels(const std::string& path, const DataSet& data, const CandidateSets& candidates,
                  const std::vector<float>& targets, const std::vector<float>& misses);

// softmax(logits) [samples, classes] summed over the labels outside of each sample's set; the samples are
// those of `candidates` from `first` on.
std::vector<float> missed_mass(const std::vector<float>& logits, const CandidateSets& candidates,
                               std::int64_t first = 0);

// The rows of a run's labels.csv, least certain first: by probability, equal ones in their order. Returns how
// many there are. Error(data): not such a file.
std::int64_t write_review(const std::string& labels_path, const std::string& review_path);

}  // namespace dpll
