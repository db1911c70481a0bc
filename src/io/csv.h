// Comma-separated values by RFC 4180: the only writer of the program's tables, and the reader of a line. Line
// breaks are written as LF; LF and CRLF are read.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dpll {

// The fields and a line break. Fields with commas, quotes or line breaks are quoted. Bytes are not changed.
std::string csv_line(const std::vector<std::string>& fields);

// The fields of a line without their quotes; empty if a quote is not closed or is in the middle of a field.
std::optional<std::vector<std::string>> csv_fields(std::string_view line);

}  // namespace dpll
