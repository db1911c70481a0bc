// Reading metrics.csv.
#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>

#include "dpll/core/check.h"
#include "dpll/files.h"
#include "dpll/run_charts.h"

namespace dpll {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// For messages: short, and of printable characters.
std::string shown(std::string_view text) {
  std::string result(text.substr(0, 40));
  for (char& c : result) {
    if (c < ' ' || c > '~') c = '?';
  }
  return result + (text.size() > 40 ? "..." : "");
}

double number(std::string_view field, const std::string& path, std::size_t line, const std::string& column) {
  if (field.empty()) return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size()) {
    fail(ExitCode::data, "{}:{}: column {}: \"{}\" is not a number", path, line, column, shown(field));
  }
  return value;
}

}  // namespace

History read_metrics_csv(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::string_view> lines = split(text, '\n');
  if (lines.back().empty()) lines.pop_back();  // the last line ends with a newline
  if (lines.empty()) fail(ExitCode::data, "{}:1: empty file, expected a line of column names", path);

  History history;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const std::vector<std::string_view> fields = split(line, ',');
    if (i == 0) {
      for (const std::string_view name : fields) {
        if (name.empty() || shown(name) != name) {
          fail(ExitCode::data, "{}:1: \"{}\" is not a column name", path, shown(name));
        }
        if (std::find(history.columns.begin(), history.columns.end(), name) != history.columns.end()) {
          fail(ExitCode::data, "{}:1: column {} appears twice", path, name);
        }
        history.columns.emplace_back(name);
      }
      continue;
    }
    if (fields.size() != history.columns.size()) {
      fail(ExitCode::data, "{}:{}: {} fields, but line 1 names {} columns", path, i + 1, fields.size(),
           history.columns.size());
    }
    std::vector<double>& row = history.rows.emplace_back();
    for (std::size_t k = 0; k < fields.size(); ++k) {
      row.push_back(number(fields[k], path, i + 1, history.columns[k]));
    }
  }
  return history;
}

}  // namespace dpll
