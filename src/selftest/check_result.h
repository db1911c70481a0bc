// The result of one check of `dpll_engine selftest`.
#pragma once

#include <string>

namespace dpll::selftest {

enum class Verdict { passed, failed, skipped };
struct CheckResult {
  Verdict verdict = Verdict::passed;
  std::string text;  // one line
};

}  // namespace dpll::selftest
