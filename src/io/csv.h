// Comma-separated values by RFC 4180: the one writer of all tables that the program leaves, and the reader of
// a line. Line breaks are LF; both are accepted.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dpll {

// The fields, in quotes where they hold commas, quotes or line breaks, and a line break. Bytes stay as they
// are.
std::string csv_line(const std::vector<std::string>& fields);

// The fields of a line, without their quotes; nothing where a quote is not closed or stands in the middle of
// a field.
std::optional<std::vector<std::string>> csv_fields(std::string_view line);

}  // namespace dpll
