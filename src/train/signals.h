// Requests to stop early: signals, and the limit run.max_hours. Work whose results would be lost checks for
// them and stops in order; all other work is ended at once.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

#include "dpll/ranks.h"

namespace dpll {

inline constexpr int kTimeLimitExitCode = 75;  // EX_TEMPFAIL of sysexits.h: run it again

struct StopRequest {
  int exit_code = 0;        // 128 + signal, or kTimeLimitExitCode
  std::string by;           // "by SIGTERM", "by run.max_hours = 11.5"
  double seconds_past = 0;  // since it came
};

// Thrown by throw_if_stop_requested(): the work ends early. This is not an error.
class Stopped : public std::runtime_error {
 public:
  explicit Stopped(const StopRequest& request)
      : std::runtime_error("stopped " + request.by), exit_code_(request.exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// During its lifetime SIGINT, SIGTERM, SIGHUP and SIGUSR1 (which schedulers send before their time limit) are
// requests to stop. SIGPIPE is ignored, because a closed console is no reason to stop. SIGINT and SIGHUP stay
// ignored if the process was started in that way (nohup, background jobs of a script).
class StopSignals {
 public:
  // The time limit counts from here; 0: no limit.
  explicit StopSignals(double max_hours = 0);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // While an object of this class exists, the first signal is stored for stop_request(), and only a second
  // Ctrl-C ends the process at once. Further SIGTERM signals change nothing, because schedulers and scripts
  // often send several. At other times nothing can be lost, and a signal ends the process at once.
  class InOrder {
   public:
    InOrder();
    ~InOrder();
    InOrder(const InOrder&) = delete;
    InOrder& operator=(const InOrder&) = delete;
  };
};

std::optional<StopRequest> stop_request();
void throw_if_stop_requested();

// On several ranks all must stop at the same place. During the lifetime of an object of this class a request
// that comes to one of them counts when all have agreed on it, so that the two functions above say the same
// everywhere.
class SharedStops {
 public:
  explicit SharedStops(Ranks* ranks);  // null: a process alone, and nothing changes
  ~SharedStops();
  SharedStops(const SharedStops&) = delete;
  SharedStops& operator=(const SharedStops&) = delete;
  // Collective.
  static void agree();
};

}  // namespace dpll
