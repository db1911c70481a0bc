// Requests to stop early: signals, and the limit run.max_hours. Work that has something to lose looks for
// them and stops in order; everything else is ended at once.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

namespace dpll {

inline constexpr int kTimeLimitExitCode = 75;  // EX_TEMPFAIL of sysexits.h: run it again

struct StopRequest {
  int exit_code = 0;        // 128 + signal, or kTimeLimitExitCode
  std::string by;           // "by SIGTERM", "by run.max_hours = 11.5"
  double seconds_past = 0;  // since it came
};

// Thrown by throw_if_stop_requested(): the work ends early. No error.
class Stopped : public std::runtime_error {
 public:
  explicit Stopped(const StopRequest& request)
      : std::runtime_error("stopped " + request.by), exit_code_(request.exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// For its lifetime SIGINT, SIGTERM, SIGHUP and SIGUSR1 (which schedulers send ahead of their time limit) are
// requests to stop, and SIGPIPE is ignored: a console that goes away is no reason to stop. SIGINT and SIGHUP
// stay ignored where the process was started so (nohup, jobs in the background of a script).
class StopSignals {
 public:
  // The limit counts from here; 0: none.
  explicit StopSignals(double max_hours = 0);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // While one of these lives, the first signal is noted for those who ask below, and only a second Ctrl-C
  // ends the process at once. Further SIGTERM change nothing: schedulers and scripts often send several.
  // Outside, where nothing can be lost, a signal ends the process at once.
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

}  // namespace dpll
