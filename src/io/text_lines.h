// The only reader of text files that users write: configurations, candidate sets, matrices, class names.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "dpll/core/check.h"

namespace dpll {

// The lines of a text from any editor or spreadsheet: with or without a byte order mark, LF or CRLF, with or
// without a line break at the end, with blank lines at the end. Text and path must outlive the object.
class TextLines {
 public:
  // `code` is the code of all Errors. UTF-16, which some editors call Unicode, is refused.
  TextLines(std::string_view text, const std::string& path, ExitCode code = ExitCode::data);

  // Sets `line` to the next one, without its line break; false at the end.
  bool next(std::string_view& line);
  int number() const { return number_; }  // of the line from next(), from 1; after the last line: one more

  // Throws Error "path:number: ...".
  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    fail(code_, "{}:{}: {}", path_, number_, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::string_view rest_;
  const std::string& path_;
  ExitCode code_;
  int number_ = 0;
};

}  // namespace dpll
