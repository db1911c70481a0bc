#include "report/metrics_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "dpll/files.h"
#include "io/csv.h"
#include "io/csv_records.h"
#include "io/text.h"

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
                  const std::vector<float>& targets, const std::vector<float>& misses) {
  const std::vector<std::int64_t>& samples = data.train_origin;
  const bool positions = !counts_from_zero(samples), files = !data.files.empty();
  std::vector<std::string> columns = {"sample"};
  if (positions) columns.emplace_back("position");
  if (files) columns.emplace_back("file");
  columns.insert(columns.end(), {"candidates", "label"});
  if (files) columns.emplace_back("name");
  columns.insert(columns.end(), {"probability", "posterior", "miss"});
  std::string text = csv_line(columns);
  const auto classes = static_cast<std::size_t>(candidates.classes);
  for (std::int64_t i = 0; i < candidates.count; ++i) {
    const auto row = targets.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(i) * classes);
    const auto best = std::max_element(row, row + static_cast<std::ptrdiff_t>(classes));
    std::string set, posterior;
    for (int c = 0; c < candidates.classes; ++c) {
      if (!candidates.contains(i, c)) continue;
      const char* space = set.empty() ? "" : " ";
      set += fmt::format("{}{}", space, c);
      posterior += fmt::format("{}{}:{}", space, c, row[c]);
    }
    const std::int64_t sample = samples[static_cast<std::size_t>(i)];
    std::vector<std::string> fields = {std::to_string(sample)};
    if (positions) fields.push_back(std::to_string(i));
    if (files) fields.push_back(data.files.at(static_cast<std::size_t>(sample)));
    fields.insert(fields.end(), {set, std::to_string(best - row)});
    if (files) fields.push_back(data.class_names.at(static_cast<std::size_t>(best - row)));
    const std::string miss = misses.empty() ? "" : fmt::format("{}", misses[static_cast<std::size_t>(i)]);
    fields.insert(fields.end(), {fmt::format("{}", *best), posterior, miss});
    text += csv_line(fields);
  }
  write_file_atomically(path, text);
}

std::vector<float> missed_mass(const std::vector<float>& logits, const CandidateSets& candidates,
                               std::int64_t first) {
  const auto count = static_cast<std::int64_t>(logits.size()) / candidates.classes;
  std::vector<float> misses;
  for (std::int64_t i = 0; i < count; ++i) {
    const float* row = logits.data() + i * candidates.classes;
    const double top = *std::max_element(row, row + candidates.classes);
    double all = 0, outside = 0;
    for (int c = 0; c < candidates.classes; ++c) {
      const double share = std::exp(row[c] - top);
      all += share;
      if (!candidates.contains(first + i, c)) outside += share;
    }
    misses.push_back(static_cast<float>(outside / all));
  }
  return misses;
}

std::int64_t write_review(const std::string& labels_path, const std::string& review_path) {
  const std::vector<std::uint8_t> bytes = read_file(labels_path);
  CsvRecords records(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
                     labels_path);
  const auto columns = records.next();
  const std::size_t width = columns ? columns->size() : 0;
  const std::size_t probability = columns ? index_in(*columns, "probability") : 0;
  if (width < 2 || probability == width) records.reject("these are not the labels of a run");
  struct Row {
    double probability;
    std::string text;
  };
  std::vector<Row> rows;
  while (const auto fields = records.next()) {
    const std::string number = fields->size() == width ? (*fields)[probability] : "";
    Row row{0, csv_line(*fields)};
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), row.probability);
    if (number.empty() || error != std::errc() || end != number.data() + number.size()) {
      records.reject("\"{}\" is not a row of it", printable(records.line()));
    }
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.probability < b.probability; });
  std::string text = csv_line(*columns);
  for (const Row& row : rows) text += row.text;
  write_file_atomically(review_path, text);
  return static_cast<std::int64_t>(rows.size());
}

}  // namespace dpll
