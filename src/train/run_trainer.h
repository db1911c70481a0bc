// A run in progress: what trainer.h's train() makes of a configuration. The steps and what becomes of
// failures are in run_trainer.cpp, what an epoch ends with and the files in run_results.cpp.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "report/epoch_figures.h"
#include "report/log.h"
#include "report/run_listener.h"
#include "train/checkpoint.h"
#include "train/listeners.h"
#include "train/nonfinite.h"
#include "train/schedule.h"
#include "train/selected_model.h"
#include "train/session.h"

namespace dpll {

// The constructor loads and builds everything, run() trains.
class Trainer {
 public:
  using Clock = std::chrono::steady_clock;
  // `choices`: Backend::tuning_choices() to repeat, or empty. `start`: when the user began to wait.
  // With ranks, all of them have one; what they do together they do in the same order.
  Trainer(RunConfig& config, const RunFolder& folder, Log& log, const BackendMaker& maker,
          const std::string& choices, Clock::time_point start, Ranks* ranks);
  // `accepted` is called when it is certain that the run begins or is resumed, before it writes any file.
  int run(const std::function<void()>& accepted);

 private:
  static double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
  bool resume_or_start(const std::function<void()>& accepted);
  void resume(const std::function<void()>& accepted);
  void start_anew(const std::function<void()>& accepted);
  void train_epoch();  // from the current step; throws Stopped
  // For the steps that are done, in order.
  void take_records(const std::vector<StepRecord>& records);
  [[noreturn]] void refuse(const StepRecord& record, std::int64_t step_in_epoch);
  void check_statistics();
  // Collective: Error(device) where another rank has not the weights of rank 0.
  void compare_weights() const;
  NotFinite not_finite(const std::string& what) const;
  void roll_back(const NotFinite& failure);
  std::int64_t next_checkpoint(std::int64_t step_in_epoch) const;
  void finish_epoch();  // evaluates; throws Stopped
  void finish_part();   // of an epoch that run.max_steps cuts short; likewise
  EpochFigures figures(bool evaluates);
  void save(bool replaces = false);  // `replaces`: do not keep the newest checkpoint as the previous one
  void relay_warnings();
  void write_results();  // throws Stopped before it writes anything
  std::string position() const;
  int stop();
  RunState state() const {
    return {.history = with_part_ ? *with_part_ : progress_.history,
            .epochs = epochs_begun(),
            .steps = steps_done(),
            .seconds = progress_.total_seconds,
            .resumed = resumed_};
  }
  std::vector<std::string> method_columns() const {
    std::vector<std::string> names;
    for (const auto& [name, value] : step_.method_figures({})) names.push_back(name);
    return names;
  }
  double seconds_waited() const { return earlier_seconds_ + seconds_since(start_); }
  // Every rollback halves the learning rate for the rest of the run.
  double rate_factor() const { return std::ldexp(1.0, -progress_.rollbacks); }
  // The learning rate of a step of the running epoch.
  double learning_rate_of(std::int64_t step_in_epoch) const {
    const std::int64_t steps = step_.steps_per_epoch();
    return rate_factor() *
           learning_rate(config_, progress_.epoch, progress_.epoch * steps + step_in_epoch, steps);
  }
  double lambda_of(std::int64_t step_in_epoch) const {
    const std::int64_t steps = step_.steps_per_epoch();
    return method_scalar(config_, "lambda",
                         {progress_.epoch, progress_.epoch * steps + step_in_epoch, steps});
  }
  std::int64_t steps_done() const {
    return progress_.epoch * step_.steps_per_epoch() + progress_.step_in_epoch;
  }
  // The step of the running epoch before which its training ends.
  std::int64_t end_of_training() const {
    const std::int64_t steps = step_.steps_per_epoch(), most = config_.run.max_steps;
    return most == 0 ? steps : std::min(steps, most - progress_.epoch * steps);
  }
  bool has_ended() const {
    const std::int64_t most = config_.run.max_steps;
    return with_part_ || progress_.epoch >= config_.run.epochs ||
           (most > 0 && progress_.epoch * step_.steps_per_epoch() >= most);
  }
  // Finished epochs, and the one that run.max_steps cut short.
  int epochs_begun() const { return progress_.epoch + (with_part_ ? 1 : 0); }
  std::map<std::string, std::string> model_metadata() const {
    return session_.model_metadata(epochs_begun());
  }

  RunConfig& config_;
  const RunFolder& folder_;
  Log& log_;
  Clock::time_point start_;
  Ranks* ranks_;
  bool writes_ = ranks_ == nullptr || ranks_->rank() == 0;  // files
  Session session_;
  TrainingStep& step_ = session_.step;
  ModelState& model_ = session_.network->state();
  Progress progress_;
  SelectedModelFile selected_file_;
  // The history and the row of the epoch that run.max_steps cut short, once that was evaluated. It is not in
  // progress_, which a run with more steps goes on from.
  std::optional<History> with_part_;
  RunListeners listeners_;
  bool has_terms_ = facts_of(method_of(config_)).has_terms;
  bool resumed_ = false;
  bool stepped_ = false;        // has this process changed the parameters?
  std::set<std::string> said_;  // warnings of all ranks
  double earlier_seconds_ = 0;  // that the user waited for this run's earlier processes
  Clock::time_point epoch_start_;
  double session_epoch_offset_ = 0;  // seconds of the running epoch spent before a resume
};

}  // namespace dpll
