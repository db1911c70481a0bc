#include "train/trainer.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>

#include <nlohmann/json.hpp>

#include "dpll/build_info.h"
#include "dpll/core/trace.h"
#include "dpll/files.h"
#include "dpll/run_charts.h"
#include "report/log.h"
#include "report/metrics_files.h"
#include "train/checkpoint.h"
#include "train/device_check.h"
#include "train/evaluator.h"
#include "train/forecast.h"
#include "train/make_candidates.h"
#include "train/memory_report.h"
#include "train/pace.h"
#include "train/program_specs.h"
#include "train/run_device.h"
#include "train/schedule.h"
#include "train/selection.h"
#include "train/signals.h"
#include "train/summary.h"
#include "train/training_step.h"

namespace dpll {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A run in progress. The constructor loads and builds everything, run() trains.
class Trainer {
 public:
  // `choices`: Backend::tuning_choices() to repeat, or empty.
  Trainer(RunConfig& config, const RunFolder& folder, Log& log, const BackendMaker& maker,
          const std::string& choices);
  // `accepted`: called when the run is known to begin or to go on, before its first file.
  int run(const std::function<void()>& accepted);

 private:
  bool resume_or_start(const std::function<void()>& accepted);
  bool train_epoch();  // false: a signal asked to stop
  // Of the steps that are done, in order.
  void take_records(const std::vector<StepRecord>& records, double lambda,
                    const std::vector<double>& learning_rates);
  void check_finite(const StepRecord& record, std::int64_t step_in_epoch);
  std::int64_t next_stop(std::int64_t step_in_epoch) const;
  void finish_epoch();
  void keep_selected_model();
  void write_tables();
  void show_progress(std::int64_t step_in_epoch, const ObjectiveMetrics& last);
  RunLength run_length() const;
  void write_results();
  int stop_on_signal(int signal);
  std::int64_t steps_done() const {
    return progress_.epoch * step_.steps_per_epoch() + progress_.step_in_epoch;
  }
  std::map<std::string, std::string> model_metadata() const;

  RunConfig& config_;
  const RunFolder& folder_;
  Log& log_;
  DataSet data_;
  CandidateSets candidates_;
  SelectionPart held_out_;
  std::unique_ptr<Backend> backend_;
  std::size_t memory_at_start_;
  ViewSetup views_;
  std::unique_ptr<Network> network_;
  TrainingStep step_;
  std::unique_ptr<Evaluator> test_, validation_, selection_;
  Buffer arena_;
  RunIdentity identity_;
  Progress progress_;
  std::unique_ptr<StepsFile> steps_file_;
  StepTimer timer_;
  bool resumed_ = false;
  Clock::time_point epoch_start_;
  std::int64_t images_this_session_ = 0;  // of the running epoch
  double session_epoch_offset_ = 0;       // seconds of the running epoch spent before a resume
};

DataSet load_and_report(const RunConfig& config, Log& log) {
  DataSet data = load_data(config);
  for (const std::string& warning : data.warnings) log.warning(warning);
  return data;
}

Trainer::Trainer(RunConfig& config, const RunFolder& folder, Log& log, const BackendMaker& maker,
                 const std::string& choices)
    : config_(config),
      folder_(folder),
      log_(log),
      data_(load_and_report(config, log)),
      candidates_(make_candidates(config, data_, [&](const std::string& text) { log.line(text); })),
      held_out_(hold_out_selection(data_, candidates_, config.data.selection_fraction, config.run.seed)),
      backend_(maker(
          config.run, [this](const std::string& text) { log_.warning(text); }, choices)),
      memory_at_start_(backend_->available_bytes()),
      views_(resolve_views(config, static_cast<int>(data_.train.height), static_cast<int>(data_.train.width),
                           static_cast<int>(data_.train.channels))),
      network_(make_network(*backend_, config.model,
                            {static_cast<int>(data_.train.height), static_cast<int>(data_.train.width),
                             static_cast<int>(data_.train.channels), data_.classes},
                            config.optimiser.ema > 0)),
      step_(*backend_, *network_, config, views_, data_, candidates_) {
  std::size_t arena_bytes = step_.arena_bytes();
  const auto make_evaluator = [&](const ImageSet& images) -> std::unique_ptr<Evaluator> {
    if (images.count == 0) return nullptr;
    auto evaluator =
        std::make_unique<Evaluator>(*backend_, *network_, views_, images, config_.evaluation.batch);
    arena_bytes = std::max(arena_bytes, evaluator->arena_bytes());
    return evaluator;
  };
  test_ = make_evaluator(data_.test);
  validation_ = make_evaluator(data_.validation);
  selection_ = make_evaluator(held_out_.images);
  const auto bytes_of = [&](Mode mode) {
    return [this, mode](int batch, int views) {
      return network_->make_program({mode, views, batch})->plan().solve();
    };
  };
  require_memory(*backend_, {.batch = config_.optimiser.batch,
                             .views = config_.views.strong + 1,
                             .bytes = step_.arena_bytes(),
                             .bytes_of = bytes_of(Mode::train)});
  require_memory(*backend_, {.key = "evaluation.batch",
                             .batch = config_.evaluation.batch,
                             .bytes = arena_bytes,
                             .bytes_of = bytes_of(Mode::eval)});
  arena_ = backend_->allocate(arena_bytes, "the activations");
  step_.attach(arena_.data());
  if (test_ != nullptr) test_->attach(arena_.data());
  if (validation_ != nullptr) validation_->attach(arena_.data());
  if (selection_ != nullptr) selection_->attach(arena_.data());
  identity_ = run_identity(config_, *network_, data_, candidates_);

  if (const std::string advice =
          batch_norm_advice(config_, data_.train.count, data_.train.height, data_.train.width);
      !advice.empty()) {
    log_.warning(advice);
  }
  const std::string kind = data_.train.tabular() ? fmt::format("samples of {} features", data_.train.channels)
                                                 : fmt::format("images of {}x{}x{}", data_.train.height,
                                                               data_.train.width, data_.train.channels);
  log_.line(fmt::format("{}: {} training, {} validation, {} test {}, {} classes", to_string(data_.kind),
                        data_.train.count, data_.validation.count, data_.test.count, kind, data_.classes));
  log_.line(fmt::format("candidates: {} mean size {:.3f}, SHA-256 {}", to_string(config_.candidates.mode),
                        candidates_.mean_size(), candidates_sha256(candidates_).substr(0, 16)));
  if (held_out_.images.count > 0) {
    log_.line(
        fmt::format("{} of the training samples are held out with their candidate sets to select an epoch",
                    held_out_.images.count));
  }
  const std::int64_t missing =
      data_.train.has_labels() ? count_missing_truth(candidates_, data_.train.labels) : 0;
  if (missing > 0) {
    log_.warning(fmt::format("{} of {} candidate sets miss the true label", missing, candidates_.count));
  }
  log_.line(fmt::format("{}: {} parameters, {:.3f} GMAC an image; {}", network_->name(),
                        network_->state().parameter_count(), network_->forward_macs() * 1e-9,
                        backend_->description()));
  log_.line(memory_line(*backend_, memory_at_start_));
}

// True when there is training left to do.
bool Trainer::resume_or_start(const std::function<void()>& accepted) {
  progress_.history.columns = metrics_columns();
  const auto accept = [&] {
    accepted();
    if (const std::string tuning = backend_->tuning_choices(); !tuning.empty()) {
      write_file_atomically(folder_.file(run_files::kTuning), tuning);
    }
  };
  if (config_.run.resume != ResumeMode::never && folder_.can_be_resumed()) {
    const LoadedCheckpoint loaded =
        load_checkpoint(folder_, config_, identity_, progress_, network_->state(), step_);
    accept();
    if (!loaded.damage.empty()) {
      set_damaged_checkpoint_aside(folder_);
      log_.warning(fmt::format("{}; going on from the checkpoint before it: epoch {}, step {}", loaded.damage,
                               progress_.epoch + 1, progress_.step_in_epoch));
    }
    for (const std::string& change : loaded.changes) {
      log_.warning("changed since the checkpoint: " + change);
    }
    progress_.history = with_columns(progress_.history, metrics_columns());
    session_epoch_offset_ = progress_.epoch_seconds;
    // A kill behind the checkpoint leaves files of the epoch before, or of later ones that are lost.
    if (progress_.step_in_epoch == 0) keep_selected_model();
    write_tables();
    if (progress_.epoch >= config_.run.epochs) {
      if (!folder_.holds_results_of(progress_.epoch, network_->state().has_average())) write_results();
      log_.line(fmt::format("'{}' is complete: {} epochs; nothing to do", folder_.path(), progress_.epoch));
      return false;
    }
    resumed_ = true;
    log_.line(fmt::format("going on from epoch {}, step {} of '{}'", progress_.epoch + 1,
                          progress_.step_in_epoch, folder_.path()));
  } else {
    accept();
    if (folder_.has(run_files::kMetricsCsv)) {
      log_.warning("an earlier start was killed before its first checkpoint; this one begins anew");
    }
    network_->state().initialise(config_.run.seed);
    if (config_.checkpoint.save_init) {
      save_model(folder_.file(run_files::kInit), network_->state(), ModelState::Array::value,
                 model_metadata());
    }
  }
  if (config_.log.steps > 0) {
    steps_file_ = std::make_unique<StepsFile>(folder_.file(run_files::kSteps), steps_done());
  }
  return true;
}

int Trainer::run(const std::function<void()>& accepted) {
  if (!resume_or_start(accepted)) return 0;
  const StopSignals signals;
  while (progress_.epoch < config_.run.epochs) {
    const trace::Range range("epoch");
    if (!train_epoch()) return stop_on_signal(StopSignals::received());
    finish_epoch();
  }
  write_results();
  return 0;
}

bool Trainer::train_epoch() {
  step_.set_order(sample_order(step_.samples(), config_.data.shuffle, config_.run.seed, progress_.epoch));
  if (progress_.step_in_epoch == 0) step_.set_total_metrics({});
  const double lambda = consistency_weight(config_.objective, progress_.epoch);
  const std::int64_t steps = step_.steps_per_epoch();
  std::vector<double> rates;
  for (std::int64_t i = 0; i < steps; ++i) {
    rates.push_back(learning_rate(config_, progress_.epoch, progress_.epoch * steps + i, steps));
  }
  step_.begin_epoch(progress_.epoch, progress_.step_in_epoch, rates, lambda);
  epoch_start_ = Clock::now();
  timer_.begin_epoch(epoch_start_);
  images_this_session_ = 0;
  // The host hands the GPU a chunk of steps, reports on the one before while they run, and waits only where a
  // checkpoint or a signal needs all of them to be done.
  Pace pace(!backend_->host_addressable());
  std::int64_t enqueued = progress_.step_in_epoch;
  while (progress_.step_in_epoch < steps) {
    const std::int64_t stop = next_stop(enqueued);
    const std::int64_t end = std::min(stop, enqueued + pace.steps());
    while (enqueued < end) {
      step_.enqueue();
      ++enqueued;
    }
    step_.request_records();
    const bool settle = end == stop || !pace.overlaps() || StopSignals::received() != 0;
    while (step_.requests() > (settle ? 0 : 1)) {
      take_records(step_.collect_records(), lambda, rates);
      pace.chunk_done();
    }
    if (!settle) continue;
    if (config_.checkpoint.every_steps > 0 && enqueued < steps &&
        steps_done() % config_.checkpoint.every_steps == 0) {
      save_checkpoint(folder_, config_, identity_, progress_, network_->state(), step_);
    }
    if (StopSignals::received() != 0) return false;
  }
  return true;
}

// The end of the epoch, or the next step behind which there is a checkpoint.
std::int64_t Trainer::next_stop(std::int64_t step_in_epoch) const {
  const std::int64_t steps = step_.steps_per_epoch(), every = config_.checkpoint.every_steps;
  if (every == 0) return steps;
  const std::int64_t before = progress_.epoch * steps;
  return std::min(steps, ((before + step_in_epoch) / every + 1) * every - before);
}

void Trainer::take_records(const std::vector<StepRecord>& records, double lambda,
                           const std::vector<double>& learning_rates) {
  for (const StepRecord& record : records) {
    const std::int64_t step = progress_.step_in_epoch;
    check_finite(record, step);
    const ObjectiveMetrics& m = record.metrics;
    images_this_session_ += static_cast<std::int64_t>(m.samples) * (config_.views.strong + 1);
    if (record.nonfinite_gradients > 0) progress_.skipped_steps += 1;
    ++progress_.step_in_epoch;
    if (steps_file_ != nullptr && steps_done() % config_.log.steps == 0) {
      steps_file_->add(steps_done(), progress_.epoch + 1, m.total / m.samples, m.supervised / m.samples,
                       m.consistency / m.samples, learning_rates[static_cast<std::size_t>(step)], lambda);
    }
  }
  progress_.epoch_seconds = session_epoch_offset_ + seconds_since(epoch_start_);
  if (const auto timing = timer_.add(static_cast<std::int64_t>(records.size()), Clock::now())) {
    if (const std::string line = forecast_line(*timing, run_length()); !line.empty()) log_.line(line);
  }
  if (!records.empty()) show_progress(progress_.step_in_epoch - 1, records.back().metrics);
}

// Stops the run at a step that was not finite. Its update was skipped and so were those after it, so that the
// parameters are those of that step, and the last checkpoint is good. Gradients beyond f16 are no reason to
// stop: the loss scale makes up for them.
void Trainer::check_finite(const StepRecord& record, std::int64_t step_in_epoch) {
  const ObjectiveMetrics& m = record.metrics;
  if (m.nonfinite == 0 && record.halted == 0 && std::isfinite(m.total)) return;
  const std::string cause = step_.diagnose(step_in_epoch);
  std::vector<std::int64_t> samples = step_.batch_samples(step_in_epoch);
  for (std::int64_t& sample : samples) sample = data_.train_origin[static_cast<std::size_t>(sample)];
  log_.clear_bar();
  fail(ExitCode::run,
       "epoch {}, step {}: not finite ({:.0f} samples, {:.0f} gradient elements); first: {}; samples {}; "
       "checkpoints in '{}' "
       "are from before. A lower optimiser.lr is the usual cure",
       progress_.epoch + 1, step_in_epoch + 1, m.nonfinite, record.nonfinite_gradients, cause,
       fmt::join(samples, " "), folder_.path());
}

void Trainer::show_progress(std::int64_t step_in_epoch, const ObjectiveMetrics& last) {
  if (!log_.wants_bar()) return;
  const double elapsed = seconds_since(epoch_start_);
  const std::int64_t images_per_epoch = step_.samples() * (config_.views.strong + 1);
  const double rate = static_cast<double>(images_this_session_) / std::max(elapsed, 1e-9);
  const std::int64_t left = step_.steps_per_epoch() * config_.run.epochs - steps_done();
  const double seconds_left = static_cast<double>(left) / static_cast<double>(step_.steps_per_epoch()) *
                              static_cast<double>(images_per_epoch) / std::max(rate, 1e-9);
  log_.draw({.epoch = progress_.epoch + 1,
             .epochs = config_.run.epochs,
             .step = step_in_epoch + 1,
             .steps = step_.steps_per_epoch(),
             .loss = last.total / last.samples,
             .images_per_second = rate,
             .seconds_left = seconds_left});
}

RunLength Trainer::run_length() const {
  const std::int64_t evaluated = data_.test.count * (network_->state().has_average() ? 2 : 1) +
                                 data_.validation.count + held_out_.images.count;
  return {
      .network = network_->name(),
      .gpu = !backend_->host_addressable(),
      .steps_per_epoch = step_.steps_per_epoch(),
      .epochs = config_.run.epochs,
      .steps_done = steps_done(),
      .resumed = resumed_,
      .evaluation_every = config_.evaluation.every,
      .evaluation_steps = evaluation_in_steps(evaluated, config_.optimiser.batch, config_.views.strong + 1)};
}

void Trainer::finish_epoch() {
  const ObjectiveMetrics m = step_.total_metrics();
  const double epoch_seconds = session_epoch_offset_ + seconds_since(epoch_start_);
  const double images = m.samples * (config_.views.strong + 1);
  const int done = progress_.epoch + 1;
  const bool last_epoch = done == config_.run.epochs;
  EvaluationResult test;
  test.loss = test.accuracy = kNone;
  EvaluationResult validation = test, average = test;
  SelectionScores selection{kNone, kNone};
  if (last_epoch || done % config_.evaluation.every == 0) {
    if (test_ != nullptr) test = test_->run();
    if (validation_ != nullptr) validation = validation_->run();
    if (selection_ != nullptr) {
      selection = selection_scores(selection_->run(Evaluator::Logits::keep).logits, held_out_.candidates);
    }
    if (test_ != nullptr && network_->state().has_average()) {
      network_->state().swap_average();
      average = test_->run();
      network_->state().swap_average();
    }
  }

  const double n = m.samples, labelled = m.labelled > 0 ? m.labelled : kNone;
  const double lr = learning_rate(config_, progress_.epoch, steps_done() - 1, step_.steps_per_epoch());
  progress_.history.rows.push_back({double(done),
                                    double(steps_done()),
                                    lr,
                                    consistency_weight(config_.objective, progress_.epoch),
                                    m.total / n,
                                    m.supervised / n,
                                    m.consistency / n,
                                    m.train_correct / labelled,
                                    m.pseudo_correct / labelled,
                                    m.covered / n,
                                    m.target_entropy / n,
                                    m.target_changed / n,
                                    m.target_max / n,
                                    validation.loss,
                                    validation.accuracy,
                                    test.loss,
                                    test.accuracy,
                                    average.accuracy,
                                    selection.covering_rate,
                                    selection.approximated_accuracy,
                                    images / epoch_seconds,
                                    epoch_seconds,
                                    m.nonfinite,
                                    double(progress_.skipped_steps),
                                    double(step_.loss_scale())});
  progress_.epoch = done;
  progress_.step_in_epoch = 0;
  progress_.skipped_steps = 0;
  progress_.total_seconds += epoch_seconds;
  progress_.epoch_seconds = 0;
  session_epoch_offset_ = 0;

  const auto percent = [](const char* name, double x) {
    return std::isnan(x) ? std::string() : fmt::format("  {} {:.2f}%", name, 100 * x);
  };
  log_.line(fmt::format(
      "epoch {}/{}  loss {:.4f} (supervised {:.4f}, consistency {:.4f}){}{}{}{}{}  {:.0f} images/s  {:.1f} s",
      done, config_.run.epochs, m.total / n, m.supervised / n, m.consistency / n,
      percent("test", test.accuracy), percent("ema", average.accuracy),
      percent("validation", validation.accuracy), percent("approximated", selection.approximated_accuracy),
      percent("pseudo-labels", m.pseudo_correct / labelled), images / epoch_seconds, epoch_seconds));
  // The epoch is safe before anything is made of it.
  if (last_epoch || done % config_.checkpoint.every == 0) {
    save_checkpoint(folder_, config_, identity_, progress_, network_->state(), step_);
  }
  keep_selected_model();
  write_tables();
}

// Tables and charts are made from the history and written whole each time: what fails now is there the next
// time.
void Trainer::write_tables() {
  try {
    write_metrics(progress_.history, folder_.file(run_files::kMetricsCsv),
                  folder_.file(run_files::kMetricsJsonl));
    if (config_.log.charts) draw_run_charts(progress_.history, config_.run.name, folder_.path());
  } catch (const Error& error) {
    log_.warning(fmt::format("{}; it is tried again after the next epoch", error.what()));
  }
}

// Keeps the model of the epoch that just ended when it is the best so far without looking at true labels. A
// resumed run comes to the same choice from its history.
void Trainer::keep_selected_model() {
  const std::optional<EpochChoice> best =
      best_epoch(progress_.history, selection_column(config_.evaluation.selection));
  if (!best || best->epoch != progress_.epoch) return;
  save_model(folder_.file(run_files::kSelectedModel), network_->state(), ModelState::Array::value,
             model_metadata());
}

std::map<std::string, std::string> Trainer::model_metadata() const {
  const InputShape& in = network_->input();
  return {{"network", network_->name()},
          {"height", std::to_string(in.height)},
          {"width", std::to_string(in.width)},
          {"channels", std::to_string(in.channels)},
          {"classes", std::to_string(in.classes)},
          {"class_names", nlohmann::json(data_.class_names).dump()},
          {"dpll_engine", fmt::format("{} ({})", DPLL_VERSION, DPLL_COMMIT)},
          {"epochs", std::to_string(progress_.epoch)},
          {"seed", std::to_string(config_.run.seed)}};
}

void Trainer::write_results() {
  ModelState& model = network_->state();
  save_model(folder_.file(run_files::kModel), model, ModelState::Array::value, model_metadata());
  if (model.has_average()) {
    save_model(folder_.file(run_files::kAverageModel), model, ModelState::Array::average, model_metadata());
  }
  write_labels(folder_.file(run_files::kLabels), data_, candidates_, step_.targets());
  write_tables();

  write_file_atomically(folder_.file(run_files::kSummary),
                        run_summary({.name = config_.run.name,
                                     .network = *network_,
                                     .backend = *backend_,
                                     .data = data_,
                                     .candidates = candidates_,
                                     .identity = identity_,
                                     .progress = progress_,
                                     .selection = config_.evaluation.selection,
                                     .held_out = held_out_.images.count}));
  for (const std::string& line : accuracy_lines(progress_.history)) log_.line(line);
  log_.line(fmt::format("done in {}: results are in '{}'", format_duration(progress_.total_seconds),
                        folder_.path()));
}

int Trainer::stop_on_signal(int signal) {
  if (progress_.step_in_epoch == step_.steps_per_epoch()) finish_epoch();
  save_checkpoint(folder_, config_, identity_, progress_, network_->state(), step_);
  write_labels(folder_.file(run_files::kLabels), data_, candidates_, step_.targets());
  log_.line(fmt::format("stopped after epoch {}, step {}; to go on: dpll_engine {} --resume",
                        progress_.epoch + 1, progress_.step_in_epoch, folder_.file(run_files::kConfig)));
  return 128 + signal;
}

}  // namespace

int train(RunConfig config, const BackendMaker& maker) {
  if (config.run.device == DeviceChoice::check) {
    return check_devices(config, maker, [](const std::string& line) { fmt::print("{}\n", line); });
  }
  const RunFolder folder(config.run, config.run.resume == ResumeMode::require);
  if (config.run.resume == ResumeMode::never && folder.holds_a_run()) {
    fail(ExitCode::run,
         "'{}' already holds a run, which is not overwritten: use --resume to go on with it, or --set "
         "run.name=... for a "
         "new one",
         folder.path());
  }
  const bool resumes = config.run.resume != ResumeMode::never && folder.can_be_resumed();
  if (config.run.resume == ResumeMode::require && !resumes) {
    fail(ExitCode::run, "'{}' has no checkpoint to resume from; without --resume it begins anew",
         folder.path());
  }
  // A resume that is refused leaves every file as it was: nothing is written before it is accepted.
  Log log(folder.file(run_files::kLog), config.log.progress, resumes);
  for (const std::string& note : folder.notes()) log.line(note);
  try {
    // The resolved configuration repeats the run: it says what `auto` became.
    const int gpu = config.run.gpu;
    const std::string choices = decide_run_device(config, folder, log, resumes);
    Trainer trainer(config, folder, log, maker, choices);
    // --resume says how this process starts; kept, it would stop config.ini from starting another run.
    RunConfig kept = config;
    kept.run.gpu = gpu;  // another one may be free the next time, unless the user has named it
    if (kept.run.resume == ResumeMode::require) kept.run.resume = ResumeMode::never;
    return trainer.run([&] {
      log.release();
      write_file_atomically(folder.file(run_files::kConfig), to_ini(kept));
    });
  } catch (const Error& error) {
    log.detail(std::string("error: ") + error.what());
    throw;
  }
}

}  // namespace dpll
