// What follows a run while it trains: its log lines, tables, charts, TensorBoard, summary. The trainer tells,
// a listener writes; no listener changes the run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dpll/run_charts.h"
#include "report/epoch_figures.h"
#include "report/log.h"

namespace dpll {

// Where a run stands.
struct RunState {
  const History& history;  // a row for each epoch that is done
  int epochs = 0;          // that are done
  std::int64_t steps = 0;  // that are done
  double seconds = 0;      // that the user has waited, as of the last checkpoint or the end
  bool resumed = false;    // an earlier process began it
};

// Of one step that is done.
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
// What a listener throws is a warning in the log, training goes on, and the listener has to be ready for the
// next call: it then makes up for what it could not write. Only that of a listener that is required() ends
// the run.
class RunListener {
 public:
  virtual ~RunListener() = default;

  // What the warning is about.
  virtual std::string name() const = 0;
  virtual bool required() const { return false; }

  // The run begins, goes on from a checkpoint, or has gone back to one after a step that was not finite. What
  // there is of later steps and epochs, in files, too, is not the run's any more.
  virtual void start(const RunState& /*state*/) {}
  // The epoch's first step, or the first one after start() where that was within an epoch, is about to be
  // done.
  virtual void epoch_begins() {}
  // Steps that are done, at least one, in order. On a GPU several at a time.
  virtual void steps(const std::vector<StepFigures>& /*done*/) {}
  // An epoch is done and evaluated; its checkpoint, if it has one, is on disk. The last row of the history is
  // its own.
  virtual void epoch_done(const EpochFigures& /*epoch*/, const RunState& /*state*/) {}
  // All epochs are done; model and labels are on disk.
  virtual void finish(const RunState& /*state*/) {}
  // Training stops early, with a checkpoint on disk.
  virtual void stop(const RunState& /*state*/) {}
};

// All that follow one run, told in the order in which they were added.
class RunListeners {
 public:
  explicit RunListeners(Log& log) : log_(log) {}
  void add(std::unique_ptr<RunListener> listener) { listeners_.push_back({std::move(listener)}); }

  // As those of RunListener. They throw what required() listeners throw, and Error(run) where the log cannot
  // be written.
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
