#include "train/run_trainer.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "dpll/core/trace.h"
#include "dpll/files.h"
#include "report/metrics_files.h"
#include "train/initial_weights.h"
#include "train/signals.h"
#include "train/step_loop.h"

namespace dpll {

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
      std::uint8_t missing =
          folder_.holds_results_of(progress_.epoch, steps_done(), model_.has_average()) ? 0 : 1;
      if (ranks_ != nullptr) ranks_->broadcast(&missing, 1);
      if (missing != 0) write_results();
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
                .ranks = ranks_};
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

}  // namespace dpll
