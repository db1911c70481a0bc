// Checks on whole runs: this program is started as a user would start it, on small data made here.
#pragma once

#include "dpll/config.h"
#include "selftest/check_result.h"

namespace dpll::selftest {

// The same configuration twice gives the same model, labels and losses, to the bit.
CheckResult check_repeat(const RunConfig::Run& run);
// A run that is killed in the middle and resumed ends with the bytes of one that was left alone.
CheckResult check_resume(const RunConfig::Run& run);

}  // namespace dpll::selftest
