#include "io/text_lines.h"

#include <cstddef>

namespace dpll {

TextLines::TextLines(std::string_view text, const std::string& path, ExitCode code)
    : rest_(text), path_(path), code_(code) {
  if (rest_.starts_with("\xFF\xFE") || rest_.starts_with("\xFE\xFF")) {
    fail(code_, "{}: this is UTF-16 text; save it as UTF-8", path_);
  }
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
  const std::size_t last = rest_.find_last_not_of(" \t\r\n");
  rest_ = last == std::string_view::npos ? std::string_view() : rest_.substr(0, rest_.find('\n', last));
}

bool TextLines::next(std::string_view& line) {
  ++number_;
  if (rest_.empty()) return false;
  const std::size_t end = rest_.find('\n');
  line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

}  // namespace dpll
