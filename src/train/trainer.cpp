#include "train/trainer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "dpll/core/trace.h"
#include "dpll/files.h"
#include "report/epoch_figures.h"
#include "report/log.h"
#include "report/metrics_files.h"
#include "report/run_listener.h"
#include "train/checkpoint.h"
#include "train/device_check.h"
#include "train/initial_weights.h"
#include "train/listeners.h"
#include "train/nonfinite.h"
#include "train/run_device.h"
#include "train/schedule.h"
#include "train/selected_model.h"
#include "train/session.h"
#include "train/signals.h"
#include "train/step_loop.h"

namespace dpll {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A run in progress. The constructor loads and builds everything, run() trains.
class Trainer {
 public:
  // `choices`: Backend::tuning_choices() to repeat, or empty. `start`: when the user began to wait.
  // With ranks, all of them have one; what they do together they do in the same order.
  Trainer(RunConfig& config, const RunFolder& folder, Log& log, const BackendMaker& maker,
          const std::string& choices, Clock::time_point start, Ranks* ranks);
  // `accepted` is called when it is certain that the run begins or is resumed, before it writes any file.
  int run(const std::function<void()>& accepted);

 private:
  bool resume_or_start(const std::function<void()>& accepted);
  void resume(const std::function<void()>& accepted);
  void start_anew(const std::function<void()>& accepted);
  void train_epoch();  // from the current step; throws Stopped
  // For the steps that are done, in order.
  void take_records(const std::vector<StepRecord>& records);
  [[noreturn]] void refuse(const StepRecord& record, std::int64_t step_in_epoch);
  void check_statistics();
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

Trainer::Trainer(RunConfig& config, const RunFolder& folder, Log& log, const BackendMaker& maker,
                 const std::string& choices, Clock::time_point start, Ranks* ranks)
    : config_(config),
      folder_(folder),
      log_(log),
      start_(start),
      ranks_(ranks),
      session_(config, log, maker, choices, ranks),
      selected_file_(folder, config.evaluation.selection),
      listeners_(writes_ ? make_listeners(session_, folder, log) : RunListeners(log)) {}

// True if there are epochs left to train.
bool Trainer::resume_or_start(const std::function<void()>& accepted) {
  progress_.history.columns = metrics_columns(method_columns());
  const auto accept = [&] {
    if (!writes_) return;
    accepted();
    if (const std::string tuning = session_.backend->tuning_choices(); !tuning.empty()) {
      write_file_atomically(folder_.file(run_files::kTuning), tuning);
    }
  };
  if (config_.run.resume != ResumeMode::never && folder_.can_be_resumed()) {
    resume(accept);
  } else {
    start_anew(accept);
  }
  listeners_.start(state());
  if (has_ended()) return false;
  if (resumed_) {
    log_.line(fmt::format("going on from epoch {}, step {} of '{}'", progress_.epoch + 1,
                          progress_.step_in_epoch, folder_.path()));
  }
  return true;
}

void Trainer::resume(const std::function<void()>& accepted) {
  const LoadedCheckpoint loaded =
      load_checkpoint(folder_, config_, session_.identity, progress_, model_, step_);
  progress_.history = with_columns(progress_.history, metrics_columns(method_columns()));
  if (writes_) selected_file_.restore(progress_);
  if (config_.run.max_steps > 0 && progress_.step_in_epoch > std::max<std::int64_t>(end_of_training(), 0)) {
    fail(ExitCode::config,
         "run.max_steps = {}: '{}' has done {} steps; expected: that number or more, or 0 for no limit",
         config_.run.max_steps, folder_.path(), steps_done());
  }
  accepted();
  if (!loaded.damage.empty() && writes_) {
    set_damaged_checkpoint_aside(folder_);
    log_.warning(fmt::format("{}; going on from the checkpoint before it: epoch {}, step {}", loaded.damage,
                             progress_.epoch + 1, progress_.step_in_epoch));
  }
  for (const std::string& change : loaded.changes) {
    log_.warning("changed since the checkpoint: " + change);
  }
  session_epoch_offset_ = progress_.epoch_seconds;
  earlier_seconds_ = progress_.total_seconds;
  resumed_ = true;
  if (writes_) selected_file_.write(progress_.selected);
}

void Trainer::start_anew(const std::function<void()>& accepted) {
  set_initial_weights(model_, config_, [this](const std::string& text) { log_.line(text); });
  accepted();
  if (folder_.has(run_files::kMetricsCsv)) {
    log_.warning("an earlier start was killed before its first checkpoint; this one begins anew");
  }
  if (config_.checkpoint.save_init && writes_) {
    save_model(folder_.file(run_files::kInit), model_, ModelState::Array::value, model_metadata());
  }
  // A rollback in the first epoch also needs a checkpoint.
  if (config_.guard.on_nonfinite == OnNonfinite::rollback) save();
}

int Trainer::run(const std::function<void()>& accepted) {
  const StopSignals::InOrder in_order;
  const bool goes_on = resume_or_start(accepted);
  try {
    if (!goes_on) {
      if (!folder_.holds_results_of(progress_.epoch, steps_done(), model_.has_average())) write_results();
      log_.line(fmt::format("'{}' is complete: {} epochs; nothing to do", folder_.path(), progress_.epoch));
      return 0;
    }
    while (!has_ended()) {
      const trace::Range range("epoch");
      try {
        train_epoch();
        progress_.step_in_epoch == step_.steps_per_epoch() ? finish_epoch() : finish_part();
      } catch (const NotFinite& failure) {
        roll_back(failure);
      }
    }
    progress_.total_seconds = seconds_waited();
    write_results();
  } catch (const Stopped&) {
    return stop();
  }
  return 0;
}

void Trainer::train_epoch() {
  step_.set_order(sample_order(step_.samples(), config_.data.shuffle, config_.run.seed, progress_.epoch));
  if (progress_.step_in_epoch == 0) step_.set_total_metrics({});
  const std::int64_t steps = step_.steps_per_epoch();
  const std::vector<StepPlan> plans = plans_of_epoch(config_, progress_.epoch, steps, rate_factor());
  step_.begin_epoch(progress_.epoch, progress_.step_in_epoch, plans);
  epoch_start_ = Clock::now();
  listeners_.epoch_begins();
  const std::int64_t end = end_of_training();
  StepLoop loop{.first = progress_.step_in_epoch,
                .end = end,
                .overlaps = session_.backend->is_asynchronous(),
                .one_by_one = ranks_ != nullptr};
  loop.next_stop = [&](std::int64_t enqueued) { return next_checkpoint(enqueued); };
  loop.take = [&](const std::vector<StepRecord>& records) { take_records(records); };
  loop.settled = [&](std::int64_t done) {
    if (done < end && done == next_checkpoint(done - 1)) save();
  };
  run_steps(step_, loop);
}

// The end of the epoch's training, or the next step after which there is a checkpoint.
std::int64_t Trainer::next_checkpoint(std::int64_t step_in_epoch) const {
  const std::int64_t end = end_of_training(), every = config_.checkpoint.every_steps;
  if (every == 0) return end;
  const std::int64_t before = progress_.epoch * step_.steps_per_epoch();
  return std::min(end, ((before + step_in_epoch) / every + 1) * every - before);
}

void Trainer::take_records(const std::vector<StepRecord>& records) {
  std::vector<StepFigures> done;
  for (const StepRecord& record : records) {
    const std::int64_t step = progress_.step_in_epoch;
    const ObjectiveMetrics& m = record.metrics;
    // Gradients beyond the range of f16 are no reason to stop: the loss scale is then reduced.
    if (m.nonfinite != 0 || record.halted != 0 || !std::isfinite(m.total)) {
      listeners_.steps(done);
      refuse(record, step);
    }
    stepped_ = true;
    if (record.nonfinite_gradients > 0) progress_.skipped_steps += 1;
    ++progress_.step_in_epoch;
    done.push_back({.step = steps_done(),
                    .epoch = progress_.epoch + 1,
                    .step_in_epoch = step + 1,
                    .images = static_cast<std::int64_t>(m.samples) * views_of(config_),
                    .loss = m.total / m.samples,
                    .supervised = has_terms_ ? m.supervised / m.samples : EpochScores::kNone,
                    .consistency = has_terms_ ? m.consistency / m.samples : EpochScores::kNone,
                    .learning_rate = learning_rate_of(step),
                    .lambda = lambda_of(step)});
  }
  progress_.epoch_seconds = session_epoch_offset_ + seconds_since(epoch_start_);
  listeners_.steps(done);
}

// Ends the epoch at a step that was not finite. Its update and all later ones were skipped, so the parameters
// are those of that step, and the last checkpoint is good.
void Trainer::refuse(const StepRecord& record, std::int64_t step_in_epoch) {
  const std::string cause = step_.diagnose(step_in_epoch);
  std::vector<std::int64_t> samples = step_.batch_samples(step_in_epoch);
  for (std::int64_t& sample : samples) sample = session_.data.train_origin[static_cast<std::size_t>(sample)];
  log_.clear_bar();
  const std::string what = fmt::format(
      "step {}: not finite{} ({:.0f} samples, {:.0f} gradient elements); first: {}; samples {}",
      step_in_epoch + 1, step_.failing_rank() < 0 ? "" : fmt::format(" on rank {}", step_.failing_rank()),
      record.metrics.nonfinite, record.nonfinite_gradients, cause, fmt::join(samples, " "));
  // If a parameter is wrong before this process has changed any, the learning rate is not the cause.
  if (!stepped_ && cause.starts_with("parameter ")) {
    fail(ExitCode::run, "epoch {}, {}; it was not finite when it was loaded", progress_.epoch + 1, what);
  }
  throw not_finite(what);
}

NotFinite Trainer::not_finite(const std::string& what) const {
  return {
      ExitCode::run,
      fmt::format("epoch {}, {}; checkpoints in '{}' are from before. A lower optimiser.lr is the usual cure",
                  progress_.epoch + 1, what, folder_.path())};
}

// Goes back to the last checkpoint and halves the learning rate, or throws `failure`. If this fails twice
// before there is a new checkpoint, the run had already diverged when that checkpoint was written. Then it
// goes back to the previous one, and at last to the beginning.
void Trainer::roll_back(const NotFinite& failure) {
  if (config_.guard.on_nonfinite == OnNonfinite::stop) throw failure;
  const int rollbacks = progress_.rollbacks + 1;
  if (rollbacks > config_.guard.retries) {
    throw Error(failure.code(), fmt::format("{}; it went back {} times already (guard.retries)",
                                            failure.what(), progress_.rollbacks));
  }
  const int failures = progress_.failures_here + 1;
  step_.forget_failure();
  progress_ = {};
  if (failures <= 2) {
    load_checkpoint(folder_, config_, session_.identity, progress_, model_, step_);
  } else if (failures <= 4 && folder_.has(run_files::kPreviousCheckpoint)) {
    load_checkpoint(folder_, config_, session_.identity, progress_, model_, step_, WhichCheckpoint::previous);
  } else {
    set_initial_weights(model_, config_, [](const std::string&) {});
    step_.restart();
  }
  progress_.history = with_columns(progress_.history, metrics_columns(method_columns()));
  progress_.rollbacks = rollbacks;
  progress_.failures_here = failures;
  session_epoch_offset_ = progress_.epoch_seconds;
  log_.warning(
      fmt::format("{}. Rollback {} of {}: going back to epoch {}, step {}, with {:g} of the "
                  "learning rate from there on",
                  failure.what(), rollbacks, config_.guard.retries, progress_.epoch + 1,
                  progress_.step_in_epoch, rate_factor()));
  // Saved at once, so that a killed run does not start again with the learning rate that failed.
  save(true);
  listeners_.start(state());
}

// Variances overflow before losses do, and a run could not be resumed from a checkpoint with such variances.
void Trainer::check_statistics() {
  const std::string cause = nonfinite_statistics(model_);
  if (cause.empty()) return;
  log_.clear_bar();
  throw not_finite(fmt::format("after step {}: not finite: {}", progress_.step_in_epoch, cause));
}

// Of the running epoch, up to the last step that is done.
EpochFigures Trainer::figures(bool evaluates) {
  step_.gather(progress_.step_in_epoch);
  relay_warnings();
  check_statistics();
  EpochFigures epoch;
  epoch.epoch = progress_.epoch + 1;
  epoch.epochs = config_.run.epochs;
  if (evaluates) epoch.scores = session_.evaluation.run();
  epoch.steps = steps_done();
  epoch.learning_rate = learning_rate_of(progress_.step_in_epoch - 1);
  epoch.rollbacks = progress_.rollbacks;
  epoch.lambda = lambda_of(progress_.step_in_epoch - 1);
  epoch.sums = step_.total_metrics();
  epoch.has_terms = has_terms_;
  epoch.views = views_of(config_);
  epoch.seconds = progress_.epoch_seconds;
  epoch.skipped_steps = progress_.skipped_steps;
  epoch.loss_scale = static_cast<double>(step_.loss_scale());
  // Behind the evaluation: a run that is stopped in it evaluates again when it is resumed, and the hook runs
  // once.
  if (progress_.step_in_epoch == step_.steps_per_epoch()) step_.end_epoch(progress_.epoch);
  epoch.of_method = step_.method_figures(epoch.sums);
  if (evaluates && session_.has_priors()) {
    epoch.prior_distance = total_variation(class_priors(step_.targets(), session_.data.classes),
                                           label_shares(session_.data.train, session_.data.classes));
  }
  return epoch;
}

void Trainer::finish_epoch() {
  const int number = progress_.epoch + 1;
  const bool last_epoch = number == config_.run.epochs || steps_done() == config_.run.max_steps;
  const EpochFigures epoch = figures(last_epoch || number % config_.evaluation.every == 0);
  progress_.history.rows.push_back(epoch_row(epoch));
  progress_.epoch = epoch.epoch;
  progress_.step_in_epoch = 0;
  progress_.skipped_steps = 0;
  progress_.epoch_seconds = 0;
  session_epoch_offset_ = 0;
  // The selected model is part of the checkpoint, so that a killed run never has the model of a lost epoch.
  if (selected_file_.best_epoch_of(progress_.history) == progress_.epoch) {
    progress_.selected = {progress_.epoch, model_bytes(model_, ModelState::Array::value, model_metadata())};
  }

  // The checkpoint comes first; listeners write their files afterwards.
  if (last_epoch || progress_.epoch % config_.checkpoint.every == 0) save();
  listeners_.epoch_done(epoch, state());
}

// The checkpoint is that of the middle of the epoch, so a run with more steps goes on as if it had not ended
// here. It comes first: if this process is killed, the next one evaluates again.
void Trainer::finish_part() {
  save();
  const EpochFigures epoch = figures(true);
  History history = progress_.history;
  history.rows.push_back(epoch_row(epoch));
  with_part_ = std::move(history);
  if (writes_ && selected_file_.best_epoch_of(*with_part_) == epoch.epoch) {
    selected_file_.write({epoch.epoch, model_bytes(model_, ModelState::Array::value, model_metadata())});
  }
  log_.line(fmt::format("run.max_steps = {}: the run ends after step {} of {} in epoch {}",
                        config_.run.max_steps, progress_.step_in_epoch, step_.steps_per_epoch(),
                        epoch.epoch));
  listeners_.epoch_done(epoch, state());
}

void Trainer::save(bool replaces) {
  step_.gather(progress_.step_in_epoch);
  check_statistics();
  progress_.total_seconds = seconds_waited();
  if (!writes_) return;
  if (!replaces) progress_.failures_here = 0;
  save_checkpoint(folder_, config_, session_.identity, progress_, model_, step_, replaces);
  selected_file_.write(progress_.selected);
}

// Warnings of other ranks that rank 0 has not given itself.
void Trainer::relay_warnings() {
  if (ranks_ == nullptr) return;
  const std::string own = fmt::format("{}", fmt::join(log_.take_warnings(), "\n"));
  const std::vector<std::vector<std::uint8_t>> all = ranks_->all_gather({own.begin(), own.end()});
  for (std::size_t rank = 0; rank < all.size() && writes_; ++rank) {
    std::istringstream lines(std::string(all[rank].begin(), all[rank].end()));
    for (std::string line; std::getline(lines, line);) {
      if (said_.insert(line).second && rank > 0) log_.warning(fmt::format("rank {}: {}", rank, line));
    }
  }
  log_.take_warnings();
}

void Trainer::write_results() {
  if (!writes_) return;
  const std::vector<float> misses = session_.missed_masses();
  save_model(folder_.file(run_files::kModel), model_, ModelState::Array::value, model_metadata());
  if (model_.has_average()) {
    save_model(folder_.file(run_files::kAverageModel), model_, ModelState::Array::average, model_metadata());
  }
  write_labels(folder_.file(run_files::kLabels), session_.data, session_.candidates, step_.targets(), misses);
  listeners_.finish(state());
  log_.line(fmt::format("done in {}: results are in '{}'", format_duration(progress_.total_seconds),
                        folder_.path()));
}

// The progress of the run for its user: "after epoch 3 of 5", "in epoch 4 of 5 after step 12".
std::string Trainer::position() const {
  const int epochs = config_.run.epochs;
  if (progress_.step_in_epoch == 0) {
    return progress_.epoch == 0 ? "before the first step"
                                : fmt::format("after epoch {} of {}", progress_.epoch, epochs);
  }
  const std::string in_epoch = fmt::format("in epoch {} of {}", progress_.epoch + 1, epochs);
  return progress_.step_in_epoch == step_.steps_per_epoch()
             ? in_epoch + " before its evaluation"
             : fmt::format("{} after step {}", in_epoch, progress_.step_in_epoch);
}

// The line says how long stopping took, because schedulers kill a process after a fixed time.
int Trainer::stop() {
  const StopRequest request = stop_request().value();
  const Clock::time_point begin = Clock::now();
  save();
  log_.line(fmt::format(
      "stopped {} {} ({:.1f} s until the running step or batch was done, {:.1f} s for the "
      "checkpoint); to go on: dpll_engine {} --resume",
      request.by, position(), request.seconds_past, seconds_since(begin), folder_.file(run_files::kConfig)));
  listeners_.stop(state());
  if (!writes_) return request.exit_code;
  write_labels(folder_.file(run_files::kLabels), session_.data, session_.candidates, step_.targets(), {});
  return request.exit_code;
}

}  // namespace

namespace {

// The refusals that need nothing but the folder.
void check_folder(const RunConfig& config, const RunFolder& folder) {
  if (config.run.resume == ResumeMode::never && folder.holds_a_run()) {
    fail(ExitCode::run,
         "'{}' already holds a run, which is not overwritten: use --resume to go on with it, or --set "
         "run.name=... for a "
         "new one",
         folder.path());
  }
  if (config.run.resume == ResumeMode::require && !folder.can_be_resumed()) {
    fail(ExitCode::run, "'{}' has no checkpoint to resume from; without --resume it begins anew",
         folder.path());
  }
}

// Of a rank that writes nothing: rank 0 trains in the same folder and has looked at it.
int train_along(RunConfig config, const BackendMaker& maker, Ranks& ranks, Clock::time_point start) {
  std::uint8_t resumes = 0;
  ranks.broadcast(&resumes, 1);
  config.run.lock = false;
  config.run.resume = resumes != 0 ? ResumeMode::require : ResumeMode::never;
  const RunFolder folder(config.run);
  Log log{Log::Silent{}};
  try {
    const std::string choices = decide_run_device(config, folder, log, resumes != 0);
    return Trainer(config, folder, log, maker, choices, start, &ranks).run([] {});
  } catch (const Stopped& stopped) {
    return stopped.exit_code();
  }
}

}  // namespace

int train(RunConfig config, const BackendMaker& maker, Ranks* ranks) {
  const Clock::time_point start = Clock::now();
  if (config.run.device == DeviceChoice::check) {
    if (ranks != nullptr)
      fail(ExitCode::config, "run.device = check compares one process's devices: start it alone");
    return check_devices(config, maker, [](const std::string& line) { fmt::print("{}\n", line); });
  }
  if (ranks != nullptr && config.run.device == DeviceChoice::cuda) {
    fail(ExitCode::config,
         "run.device = cuda on several ranks: they train on CPUs as yet; expected cpu, or a start of "
         "one process");
  }
  if (ranks != nullptr) config.run.device = DeviceChoice::cpu;
  const StopSignals signals(config.run.max_hours);
  const SharedStops shared_stops(ranks);
  if (ranks != nullptr && ranks->rank() > 0) return train_along(std::move(config), maker, *ranks, start);
  const RunFolder folder(config.run, config.run.resume == ResumeMode::require);
  check_folder(config, folder);
  const bool resumes = config.run.resume != ResumeMode::never && folder.can_be_resumed();
  if (ranks != nullptr) {
    std::uint8_t told = resumes ? 1 : 0;
    ranks->broadcast(&told, 1);
  }
  // Nothing is written before a resume is accepted, so a refused one leaves every file as it was.
  Log log(folder.file(run_files::kLog), config.log.progress, resumes);
  for (const std::string& note : folder.notes()) log.line(note);
  try {
    // The resolved configuration repeats the run, so it has the device that `auto` chose.
    const int gpu = config.run.gpu;
    const std::string choices = decide_run_device(config, folder, log, resumes);
    Trainer trainer(config, folder, log, maker, choices, start, ranks);
    // --resume belongs to this process. In config.ini it would prevent the start of another run.
    RunConfig kept = config;
    kept.run.gpu = gpu;  // another one may be free the next time, unless the user has named it
    if (kept.run.resume == ResumeMode::require) kept.run.resume = ResumeMode::never;
    return trainer.run([&] {
      log.release();
      write_file_atomically(folder.file(run_files::kConfig), to_ini(kept));
    });
  } catch (const Stopped& stopped) {
    log.line(fmt::format("{} before the first step; the same command begins it again", stopped.what()));
    return stopped.exit_code();
  } catch (const Error& error) {
    log.detail(std::string("error: ") + error.what());
    throw;
  }
}

}  // namespace dpll
