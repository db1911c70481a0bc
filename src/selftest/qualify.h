// `dpll_engine qualify`, which train/qualification.h starts: shows on a GPU that it computes right, and says
// so.
#pragma once

namespace dpll::selftest {

// Reads the request from the standard input, answers on kReportDescriptor and returns the process's exit
// code. Does not throw.
int answer_qualification();

}  // namespace dpll::selftest
