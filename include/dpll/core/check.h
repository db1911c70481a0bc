// Errors. Every failure of a run is reported by one exception of type Error. Its message is one clear line;
// main() prints it and returns its exit code. Programming errors use DPLL_CHECK, which names file and line.
#pragma once

#if !defined(__CUDACC__)
#include <fmt/format.h>
#endif

#include <stdexcept>
#include <string>
#include <utility>

namespace dpll {

// Exit codes of the program; README.md lists them.
enum class ExitCode : int {
  ok = 0,
  internal = 1,  // a bug in the engine: DPLL_CHECK failed
  usage = 2,     // wrong command line
  config = 3,    // the configuration file is missing, unreadable or wrong
  data = 4,      // a data, candidate, tensor or checkpoint file is missing, damaged or does not fit
  run = 5,       // training had to stop: NaN, disk full, run folder in use
  device = 6,    // the machine cannot do it: no GPU, not enough memory
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// Something computes wrong results: an engine of a library disagrees with the host.
class WrongResult : public Error {
 public:
  using Error::Error;
};

#if defined(__CUDACC__)
// nvcc cannot compile fmt, so CUDA sources report errors without numbers.
[[noreturn]] void check_failed(const char* file, int line, const char* condition);
#define DPLL_CHECK(condition, ...)                                          \
  do {                                                                      \
    if (!(condition)) ::dpll::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
#else
// throw Error(code, fmt::format(format, args...))
template <typename... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// A condition that can only fail because of a bug. It costs one branch; do not use it in inner loops.
#define DPLL_CHECK(condition, ...)                                                   \
  do {                                                                               \
    if (!(condition)) {                                                              \
      ::dpll::fail(::dpll::ExitCode::internal, "{}:{}: {} ({})", __FILE__, __LINE__, \
                   ::fmt::format(__VA_ARGS__), #condition);                          \
    }                                                                                \
  } while (false)
#endif

}  // namespace dpll
