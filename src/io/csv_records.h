// Reads tables whose quoted fields may hold line breaks, such as the names of files in labels.csv.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/text_lines.h"

namespace dpll {

// The records of a text. Text and path must outlive the object.
class CsvRecords {
 public:
  CsvRecords(std::string_view text, const std::string& path) : lines_(text, path) {}

  // The fields of the next record; nothing at the end. Error(data) for a quote that is not closed.
  std::optional<std::vector<std::string>> next();
  std::string_view line() const { return line_; }  // the last line of that record

  // Throws Error(data) "path:line: ...".
  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    lines_.reject(format, std::forward<Args>(args)...);
  }

 private:
  TextLines lines_;
  std::string_view line_;
};

// The position of `name` in a line of column names; their number if it is not among them.
std::size_t index_in(const std::vector<std::string>& columns, std::string_view name);

}  // namespace dpll
