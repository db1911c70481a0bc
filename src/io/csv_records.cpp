#include "io/csv_records.h"

#include <algorithm>
#include <cstddef>

#include "io/csv.h"

namespace dpll {

std::optional<std::vector<std::string>> CsvRecords::next() {
  std::string record;
  while (lines_.next(line_)) {
    record += line_;
    if (auto fields = csv_fields(record)) return fields;
    record += '\n';
  }
  if (!record.empty()) lines_.reject("a quote is not closed");
  return std::nullopt;
}

std::size_t index_in(const std::vector<std::string>& columns, std::string_view name) {
  return static_cast<std::size_t>(std::find(columns.begin(), columns.end(), name) - columns.begin());
}

}  // namespace dpll
