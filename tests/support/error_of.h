// The Error that `action` throws; the test case fails when it throws none.
#pragma once

#include <string>

#include "dpll/core/check.h"
#include "support/doctest.h"

namespace dpll::test {

template <typename Action>
Error error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK_MESSAGE(std::string(error.what()).find('\n') == std::string::npos,
                  "more than one line: ", std::string(error.what()));
    return error;
  }
  FAIL("no Error was thrown");
  return Error(ExitCode::internal, "");
}

// Whether the message has `text`; prints the message when not.
inline bool contains(const Error& error, const std::string& text) {
  const bool found = std::string(error.what()).find(text) != std::string::npos;
  if (!found) MESSAGE("message: ", std::string(error.what()));
  return found;
}

}  // namespace dpll::test
