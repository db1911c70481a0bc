// Listeners follow a run while it trains and write its log lines, tables, charts, TensorBoard file and
// summary. The trainer calls them; no listener changes the run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dpll/run_charts.h"
#include "report/epoch_figures.h"
#include "report/log.h"

namespace dpll {

// The progress of a run.
struct RunState {
  const History& history;  // one row for each finished epoch, and for one that run.max_steps cut short
  int epochs = 0;          // rows of the history
  std::int64_t steps = 0;  // finished steps
  double seconds = 0;      // for which the user has waited until the last checkpoint or the end
  bool resumed = false;    // an earlier process began the run
};

// The values of one finished step.
struct StepFigures {
  std::int64_t step = 0;                             // of the run, from 1
  int epoch = 0;                                     // from 1
  std::int64_t step_in_epoch = 0;                    // from 1
  std::int64_t images = 0;                           // samples times views
  double loss = 0, supervised = 0, consistency = 0;  // means over the samples
  double learning_rate = 0, lambda = 0;
};

// The trainer calls, in this order: start; for every epoch epoch_begins, steps and epoch_done; then finish or
// stop. A run whose epochs are all done when it starts goes from start to finish, or ends there.
//
// If a listener throws, the log gets a warning and training continues. The listener must be ready for the
// next call and then write what it could not write before. Only an exception of a required() listener ends
// the run.
class RunListener {
 public:
  virtual ~RunListener() = default;

  // The first word of the warning.
  virtual std::string name() const = 0;
  virtual bool required() const { return false; }

  // The run begins, is resumed from a checkpoint, or went back to one after a step that was not finite.
  // Values of later steps and epochs, also those in files, no longer belong to the run.
  virtual void start(const RunState& /*state*/) {}
  // The next step is the first one of an epoch, or the first one after a start() in the middle of an epoch.
  virtual void epoch_begins() {}
  // One or more steps are done, in order. On a GPU there are several at a time.
  virtual void steps(const std::vector<StepFigures>& /*done*/) {}
  // An epoch is done and evaluated; its checkpoint, if it has one, is on disk. The last row of the history
  // belongs to it.
  virtual void epoch_done(const EpochFigures& /*epoch*/, const RunState& /*state*/) {}
  // All epochs are done; model and labels are on disk.
  virtual void finish(const RunState& /*state*/) {}
  // Training stops early, with a checkpoint on disk.
  virtual void stop(const RunState& /*state*/) {}
};

// All listeners of one run. They are called in the order in which they were added.
class RunListeners {
 public:
  explicit RunListeners(Log& log) : log_(log) {}
  void add(std::unique_ptr<RunListener> listener) { listeners_.push_back({std::move(listener)}); }

  // The same calls as in RunListener. They throw the exceptions of required() listeners, and Error(run) if
  // the log cannot be written.
  void start(const RunState& state);
  void epoch_begins();
  void steps(const std::vector<StepFigures>& done);
  void epoch_done(const EpochFigures& epoch, const RunState& state);
  void finish(const RunState& state);
  void stop(const RunState& state);

 private:
  struct Listener {
    std::unique_ptr<RunListener> is;
    bool failed = false;  // at the last call
  };
  template <typename Tell>
  void each(const char* consequence, const Tell& tell);

  Log& log_;
  std::vector<Listener> listeners_;
};

}  // namespace dpll
