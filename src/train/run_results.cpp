#include "train/run_trainer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "report/metrics_files.h"
#include "train/signals.h"

namespace dpll {

// Variances overflow before losses do, and a run could not be resumed from a checkpoint with such variances.
void Trainer::check_statistics() {
  const std::string cause = nonfinite_statistics(model_);
  if (cause.empty()) return;
  log_.clear_bar();
  throw not_finite(fmt::format("after step {}: not finite: {}", progress_.step_in_epoch, cause));
}

// All ranks make the same updates of the same weights from the same sums. Where one has others, its machine
// or its network has changed a bit, and nothing else would notice.
void Trainer::compare_weights() const {
  if (ranks_ == nullptr) return;
  const std::uint64_t own = model_.digest();
  std::vector<std::uint64_t> all(static_cast<std::size_t>(ranks_->size()));
  ranks_->all_gather(&own, sizeof own, all.data());
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    fail(ExitCode::device,
         "epoch {}: the weights of rank {} on {} are not those of rank 0 on {}, although both were updated "
         "alike: one of the machines, or the way between them, is not to be trusted; the last checkpoint is "
         "good",
         progress_.epoch + 1, rank, session_.hosts[rank], session_.hosts[0]);
  }
}

// Of the running epoch, up to the last step that is done.
EpochFigures Trainer::figures(bool evaluates) {
  step_.gather(progress_.step_in_epoch);
  compare_weights();
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
  if (ranks_ != nullptr) {
    const double seconds = ranks_->seconds_waited(), share = seconds / seconds_since(start_);
    const auto gather = [&](double own, std::vector<double>& all) {
      all.resize(static_cast<std::size_t>(ranks_->size()));
      ranks_->all_gather(&own, sizeof own, all.data());
    };
    gather(seconds, session_.waited);
    gather(share, session_.waited_shares);
  }
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

}  // namespace dpll
