// Ctrl-C and SIGTERM: the first asks the trainer to stop after the current step, a second one ends the
// process at once.
#pragma once

namespace dpll {

// Installs the handlers for its lifetime and then puts the default actions back.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The signal received so far, 0 for none.
  static int received();
};

}  // namespace dpll
