#include "report/metrics_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "dpll/files.h"
#include "io/csv.h"

namespace dpll {

std::string table_number(double x) {
  return std::isnan(x) ? std::string() : fmt::format("{}", x);
}

nlohmann::ordered_json json_number(double x) {
  if (std::isnan(x)) return nullptr;
  if (x == std::floor(x) && std::abs(x) < 1e15) return static_cast<std::int64_t>(x);
  return x;
}

History with_columns(const History& history, const std::vector<std::string>& columns) {
  History result{columns, {}};
  for (const std::vector<double>& row : history.rows) {
    std::vector<double>& cells = result.rows.emplace_back();
    for (const std::string& column : columns) {
      const auto found = std::find(history.columns.begin(), history.columns.end(), column);
      const auto index = static_cast<std::size_t>(found - history.columns.begin());
      cells.push_back(index < row.size() ? row[index] : std::numeric_limits<double>::quiet_NaN());
    }
  }
  return result;
}

namespace {

std::string csv_row(const std::vector<double>& row) {
  std::string csv;
  for (std::size_t i = 0; i < row.size(); ++i) csv += (i > 0 ? "," : "") + table_number(row[i]);
  return csv + "\n";
}

std::string json_row(const History& history, const std::vector<double>& row) {
  nlohmann::ordered_json json;
  for (std::size_t i = 0; i < row.size(); ++i) {
    json[history.columns[i]] = json_number(row[i]);
  }
  return json.dump() + "\n";
}

}  // namespace

void write_metrics(const History& history, const std::string& csv_path, const std::string& jsonl_path) {
  std::string csv = fmt::format("{}\n", fmt::join(history.columns, ","));
  std::string jsonl;
  for (const std::vector<double>& row : history.rows) {
    csv += csv_row(row);
    jsonl += json_row(history, row);
  }
  write_file_atomically(csv_path, csv);
  write_file_atomically(jsonl_path, jsonl);
}

bool append_metrics(const History& history, const std::string& csv_path, const std::string& jsonl_path) {
  const std::vector<double>& row = history.rows.back();
  return append_to_file(csv_path, csv_row(row)) && append_to_file(jsonl_path, json_row(history, row));
}

void write_labels(const std::string& path, const DataSet& data, const CandidateSets& candidates,
                  const std::vector<float>& targets) {
  std::vector<std::string> columns = {"sample", "candidates", "label", "probability"};
  const std::vector<std::int64_t>& samples = data.train_origin;
  const bool positions = !counts_from_zero(samples);
  if (positions) columns.insert(columns.begin() + 1, "position");
  std::string text = csv_line(columns);
  const auto classes = static_cast<std::size_t>(candidates.classes);
  for (std::int64_t i = 0; i < candidates.count; ++i) {
    const auto row = targets.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(i) * classes);
    const auto best = std::max_element(row, row + static_cast<std::ptrdiff_t>(classes));
    std::string set;
    for (int c = 0; c < candidates.classes; ++c) {
      if (candidates.contains(i, c)) set += (set.empty() ? "" : " ") + std::to_string(c);
    }
    std::vector<std::string> fields = {std::to_string(samples[static_cast<std::size_t>(i)]), set,
                                       std::to_string(best - row), fmt::format("{}", *best)};
    if (positions) fields.insert(fields.begin() + 1, std::to_string(i));
    text += csv_line(fields);
  }
  write_file_atomically(path, text);
}

}  // namespace dpll
