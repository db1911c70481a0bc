// Processes told apart, although their numbers are used again.
#pragma once

#include <sys/types.h>

#include <string>

namespace dpll {

// When process `pid` began, in the kernel's clock ticks since boot: with it a process is told from a later
// one of the same number. Empty: there is none, it has ended, or /proc does not show it.
std::string process_start(pid_t pid);

// Does the process `pid` that began at `start` still run? Where that cannot be told, yes.
bool process_runs(pid_t pid, const std::string& start);

}  // namespace dpll
