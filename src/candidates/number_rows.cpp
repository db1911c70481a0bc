#include "candidates/number_rows.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "dpll/files.h"
#include "io/csv.h"
#include "io/text.h"
#include "io/text_lines.h"

namespace dpll {

std::vector<NumberRow> read_number_rows(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  TextLines lines(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), path);
  std::vector<NumberRow> rows;
  for (std::string_view line; lines.next(line);) {
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    const std::optional<std::vector<std::string>> fields = csv_fields(line);
    if (!fields) lines.reject("\"{}\": a quote is not closed, or stands within a field", printable(line));
    NumberRow row{lines.number(), {}};
    for (const std::string& field : *fields) {
      const std::string_view item = trim(field);
      double value = 0;
      const auto [last, error] = std::from_chars(item.data(), item.data() + item.size(), value);
      if (error != std::errc{} || last != item.data() + item.size() || !std::isfinite(value)) {
        lines.reject("item {}, \"{}\", is not a number; expected numbers separated by commas",
                     row.values.size() + 1, printable(item));
      }
      row.values.push_back(value);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace dpll
