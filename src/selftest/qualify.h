// `dpll_engine qualify`, which train/qualification.h starts: tests whether a GPU computes correctly and
// reports the result.
#pragma once

namespace dpll::selftest {

// Reads the request from the standard input, writes the answer to kReportDescriptor and returns the exit code
// of the process. Does not throw.
int answer_qualification();

}  // namespace dpll::selftest
