// The code that all benchmark programs share: command line, errors, exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "backend/cpu/wait_policy.h"
#include "dpll/core/check.h"
#include "io/text.h"

namespace dpll::bench {

// Reads the command line into the variables of `app`. Returns true, or false with `exit_code` if only help
// was requested. Error(usage).
inline bool parsed(CLI::App& app, int argc, char** argv, int& exit_code) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    exit_code = app.exit(help);
    return false;
  } catch (const CLI::ParseError& error) {
    fail(ExitCode::usage, "{}", error.what());
  }
  return true;
}

// main() of the program `name`: every Error is one line on stderr and its exit code.
inline int program(const std::string& name, int argc, char** argv, int (*work)(int argc, char** argv)) {
  cpu::limit_spinning(argv);
  try {
    return work(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), escaped(error.what()).c_str());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: unexpected: %s\n", name.c_str(), escaped(error.what()).c_str());
    return static_cast<int>(ExitCode::internal);
  }
}

}  // namespace dpll::bench
