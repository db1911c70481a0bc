// A run from its configuration to its folder: data, candidates, network, epochs, evaluation, files.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "dpll/backend.h"
#include "dpll/config.h"

namespace dpll {

// Trains as `config` says and returns the process's exit code: 0, or 130 and 143 after Ctrl-C and SIGTERM.
// Throws Error.
int train(RunConfig config);

// A line "warning: ..." on stderr.
void print_warning(const std::string& text);

// The backend that run.device names. `warn`: what is odd but can be done without, one line each.
// Error(device) when this build or machine does not have it.
std::unique_ptr<Backend> make_backend(const RunConfig::Run& run,
                                      const std::function<void(const std::string&)>& warn = print_warning);

}  // namespace dpll
