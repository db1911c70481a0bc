// Checks of whole runs: they start this program like a user, on small data that they generate.
#pragma once

#include "dpll/config.h"
#include "selftest/check_result.h"

namespace dpll::selftest {

// Two runs with the same configuration give the same bits in model, labels and losses.
CheckResult check_repeat(const RunConfig::Run& run);
// A run that is killed and resumed ends with the same bytes as one without interruption.
CheckResult check_resume(const RunConfig::Run& run);

}  // namespace dpll::selftest
