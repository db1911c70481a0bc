// Reads metrics.csv.
#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

#include "dpll/files.h"
#include "dpll/run_charts.h"
#include "io/csv.h"
#include "io/text.h"
#include "io/text_lines.h"

namespace dpll {
namespace {

double number(std::string_view field, const TextLines& lines, const std::string& column) {
  if (field.empty()) return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size()) {
    lines.reject("column {}: \"{}\" is not a number", column, printable(field));
  }
  return value;
}

}  // namespace

History read_metrics_csv(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  TextLines lines({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
  History history;
  for (std::string_view line; lines.next(line);) {
    const std::optional<std::vector<std::string>> fields = csv_fields(line);
    if (!fields) lines.reject("\"{}\": a quote is not closed, or stands within a field", printable(line));
    if (lines.number() == 1) {
      for (const std::string& name : *fields) {
        if (name.empty() || escaped(name) != name)
          lines.reject("\"{}\" is not a column name", printable(name));
        if (std::find(history.columns.begin(), history.columns.end(), name) != history.columns.end()) {
          lines.reject("column {} appears twice", name);
        }
        history.columns.push_back(name);
      }
      continue;
    }
    if (fields->size() != history.columns.size()) {
      lines.reject("{} fields, but line 1 names {} columns", fields->size(), history.columns.size());
    }
    std::vector<double>& row = history.rows.emplace_back();
    for (std::size_t k = 0; k < fields->size(); ++k) {
      row.push_back(number((*fields)[k], lines, history.columns[k]));
    }
  }
  if (history.columns.empty()) lines.reject("empty file, expected a line of column names");
  return history;
}

}  // namespace dpll
