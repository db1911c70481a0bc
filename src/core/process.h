// Identifies processes, although process numbers are reused.
#pragma once

#include <sys/types.h>

#include <string>

namespace dpll {

// The start time of process `pid` in the kernel's clock ticks since boot. It distinguishes the process from a
// later one with the same number. Empty if there is no such process, it has ended, or /proc does not show it.
std::string process_start(pid_t pid);

// Does the process `pid` that began at `start` still run? True if this cannot be determined.
bool process_runs(pid_t pid, const std::string& start);

}  // namespace dpll
