#include "train/training_step.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "backend/host_copy.h"
#include "dpll/core/trace.h"
#include "train/nonfinite.h"
#include "train/program_specs.h"

namespace dpll {
namespace {

Tensor upload(Backend& backend, Buffer& buffer, DType dtype, const Shape& shape, const void* data,
              const std::string& what) {
  const Tensor like{nullptr, dtype, shape};
  buffer = backend.allocate(like.bytes(), what);
  const Tensor tensor = buffer.tensor(dtype, shape);
  backend.copy_in(tensor, data);
  return tensor;
}

}  // namespace

TrainingStep::TrainingStep(Backend& backend, Network& network, const RunConfig& config,
                           const ViewSetup& views, const DataSet& data, const CandidateSets& candidates,
                           Ranks* ranks)
    : backend_(backend),
      network_(network),
      ranks_(ranks),
      global_norm_(config.parallel.batch_norm == BatchNormScope::global),
      samples_(data.train.count),
      batch_size_(config.optimiser.batch),
      views_(views_of(config)),
      classes_(data.classes),
      seed_(config.run.seed),
      store_(backend, data.train, "the training samples"),
      method_(method_of(config)),
      kept_rows_(facts_of(method_).kept_rows),
      first_candidates_(candidates),
      hook_(hook_of(method_, data.train.count, data.classes)),
      row_update_(row_update_of(config)) {
  if (ranks_ != nullptr) backend_.meet(*ranks_);
  const ImageSet& train = data.train;
  DPLL_CHECK(candidates.count == samples_ && candidates.classes == classes_,
             "candidates for {} samples, {} classes", candidates.count, candidates.classes);
  const std::vector<int> batches = training_batches(samples_, config.optimiser);
  last_batch_size_ = batches.size() > 1 ? batches.back() : 0;
  if (ranks_ != nullptr && batches.back() < ranks_->size()) {
    fail(ExitCode::config,
         "{} ranks share batches of {} samples{}, and each needs one: expected a larger optimiser.batch{}, "
         "or fewer "
         "ranks",
         ranks_->size(), batch_size_,
         last_batch_size_ > 0 ? fmt::format(", the last of an epoch {}", last_batch_size_) : "",
         last_batch_size_ > 0 ? ", optimiser.drop_last = true" : "");
  }
  steps_per_epoch_ = samples_ / batch_size_ + (last_batch_size_ > 0 ? 1 : 0);

  if (train.has_labels()) {
    labels_ = upload(backend_, labels_buffer_, DType::i32, {samples_}, train.labels.data(), "the labels");
  }
  candidates_ = upload(backend_, candidates_buffer_, DType::u64, {samples_, candidates.words_per_row},
                       candidates.words.data(), "the candidate sets");
  std::vector<std::int32_t> identity(static_cast<std::size_t>(samples_));
  std::iota(identity.begin(), identity.end(), 0);
  order_ = upload(backend_, order_buffer_, DType::i32, {samples_}, identity.data(), "the sample order");
  order_on_host_ = std::move(identity);

  const Shape table{samples_, classes_};
  targets_buffer_ =
      backend_.allocate(Tensor{nullptr, backend_.master_dtype(), table}.bytes(), "the target table");
  targets_ = targets_buffer_.tensor(backend_.master_dtype(), table);
  if (kept_rows_ > 0) {
    const Shape kept{samples_, kept_rows_, classes_};
    kept_buffer_ = backend_.allocate(Tensor{nullptr, backend_.master_dtype(), kept}.bytes(), "the kept rows");
    kept_ = kept_buffer_.tensor(backend_.master_dtype(), kept);
  }
  if (const std::vector<double> values = class_values_of(method_, candidates); !values.empty()) {
    const Tensor like{nullptr, backend_.master_dtype(), {classes_}};
    class_values_buffer_ = backend_.allocate(like.bytes(), "the classes' values");
    class_values_ = class_values_buffer_.tensor(like.dtype, like.shape);
    write_floats(backend_, class_values_, {values.begin(), values.end()});
  }
  constexpr std::size_t kSlot = 256;
  static_assert(sizeof(StepState) <= kSlot && sizeof(ObjectiveMetrics) <= kSlot &&
                sizeof(UpdateHealth) <= kSlot);
  scalars_buffer_ = backend_.allocate(4 * kSlot, "the step's scalars");
  auto* base = static_cast<std::byte*>(scalars_buffer_.data());
  state_ = reinterpret_cast<StepState*>(base);
  last_ = reinterpret_cast<ObjectiveMetrics*>(base + kSlot);
  total_ = reinterpret_cast<ObjectiveMetrics*>(base + 2 * kSlot);
  health_ = reinterpret_cast<UpdateHealth*>(base + 3 * kSlot);

  restart();
  const auto steps = static_cast<std::size_t>(steps_per_epoch_);
  records_buffer_ = backend_.allocate(steps * sizeof(StepRecord), "the records of an epoch's steps");
  records_ = static_cast<StepRecord*>(records_buffer_.data());
  plans_buffer_ = backend_.allocate(steps * sizeof(StepPlan), "the plans of an epoch's steps");
  plans_ = static_cast<StepPlan*>(plans_buffer_.data());
  for (auto& readback : readbacks_) readback = backend_.make_readback(steps * sizeof(StepRecord));

  sgd_ = backend_.make_sgd(
      {.kind = config.optimiser.kind,
       .elements = network_.state().flat_elements(),
       .weights = network_.state().flat_weights(),
       .momentum = config.optimiser.momentum,
       .weight_decay = config.optimiser.weight_decay,
       .nesterov = config.optimiser.nesterov,
       .beta1 = config.optimiser.beta1,
       .beta2 = config.optimiser.beta2,
       .epsilon = config.optimiser.epsilon,
       .ema = network_.teacher() != nullptr ? teacher_momentum_of(method_) : config.optimiser.ema,
       .dynamic_loss_scale = backend_.compute_dtype() == DType::f16});
  make_batch(full_, batch_size_, views);
  if (last_batch_size_ > 0) make_batch(partial_, last_batch_size_, views);
  const std::size_t bytes = full_.program->images().bytes();
  if (backend_.side_layers() > 0) {
    for (Buffer& buffer : image_buffers_) buffer = backend_.allocate(bytes, "the views of two steps");
  } else if (network_.teacher() != nullptr || row_update_ == RowUpdate::after) {
    image_buffers_[0] = backend_.allocate(bytes, "the views of a step");
  }
  if (network_.teacher() != nullptr) {
    teacher_logits_ = backend_.allocate(full_.program->logits().bytes(), "the teacher's logits");
  }
}

void TrainingStep::make_batch(Batch& batch, int size, const ViewSetup& views) {
  batch.total = size;
  BatchShare share;
  if (ranks_ != nullptr) {
    share = {ranks_, size};
    batch.begin = share_begin(size, ranks_->rank(), ranks_->size());
    size = share_begin(size, ranks_->rank() + 1, ranks_->size()) - batch.begin;
  }
  const BatchShare of_norms = global_norm_ ? share : BatchShare{};
  batch.program = network_.make_program({Mode::train, views_, size, of_norms});
  if (ranks_ != nullptr)
    batch.sums = std::make_unique<GradientSums>(backend_, *ranks_, network_.state(), *batch.program);
  batch.augment = store_.make_views(views, *batch.program);
  batch.objective = backend_.make_pll_objective(
      {.views = views_, .batch = size, .classes = classes_, .method = method_, .share = share});
  // The objective's workspace may take the place of any tensor that is not alive between forward and
  // backward: give it the whole program's lifetime, it is small.
  int last_tick = 0;
  for (const MemoryPlanner::Block& block : batch.program->plan().blocks()) {
    last_tick = std::max(last_tick, block.lifetime.death);
  }
  batch.program->plan().add(&batch.objective_workspace, batch.objective->workspace_bytes(), {0, last_tick},
                            "objective workspace");
  arena_bytes_ = std::max(arena_bytes_, batch.program->plan().solve());
  if (network_.teacher() == nullptr) return;
  // It runs before the network does, in the same memory; what it leaves is its logits, in their own buffer.
  batch.teacher = network_.teacher()->make_program({Mode::train, views_, size, of_norms});
  arena_bytes_ = std::max(arena_bytes_, batch.teacher->plan().solve());
}

void TrainingStep::attach(void* arena) {
  for (Batch* batch : {&full_, &partial_}) {
    if (batch->program == nullptr) continue;
    batch->program->plan().bind(arena);
    if (batch->teacher == nullptr) continue;
    batch->teacher->plan().bind(arena);
    batch->teacher->set_logits(teacher_logits_.data());
  }
  // A full batch is followed by another one, by the partial one, or ends the epoch.
  const std::int64_t full_steps = steps_per_epoch_ - (last_batch_size_ > 0 ? 1 : 0);
  if (looks_ahead() && full_steps > 1) record(full_, &full_);
  if (looks_ahead() && last_batch_size_ > 0) record(full_, &partial_);
  if (!looks_ahead() || last_batch_size_ == 0) record(full_, nullptr);
  if (last_batch_size_ > 0) record(partial_, nullptr);
}

void TrainingStep::record(Batch& batch, Batch* next) {
  const int buffers = looks_ahead() ? 2 : 1;
  for (int buffer = 0; buffer < buffers; ++buffer) {
    image_buffer_ = buffer;
    batch.recorded[{buffer, next}] = backend_.record([this, &batch, next] { run_operations(batch, next); });
  }
  image_buffer_ = 0;
}

void TrainingStep::use_images(Batch& batch, int buffer) {
  void* const images = image_buffers_[buffer].data();
  if (images == nullptr) return;
  batch.program->set_images(images);
  if (batch.teacher != nullptr) batch.teacher->set_images(images);
}

BatchRows TrainingStep::rows(const Batch& batch) const {
  return {.step = state_, .order = order_, .ahead = batch.begin};
}

TrainingStep::Batch& TrainingStep::batch_of(std::int64_t step_in_epoch) {
  return last_batch_size_ > 0 && step_in_epoch == steps_per_epoch_ - 1 ? partial_ : full_;
}

StepState TrainingStep::state() const {
  StepState state;
  backend_.copy_out(&state, as_bytes(state_));
  return state;
}

void TrainingStep::set_state(const StepState& state) {
  backend_.copy_in(as_bytes(state_), &state);
}

void TrainingStep::begin_epoch(int epoch, std::int64_t first_step, const std::vector<StepPlan>& plans) {
  DPLL_CHECK(static_cast<std::int64_t>(plans.size()) == steps_per_epoch_ && requests_.empty(),
             "{} plans for {} steps, {} open requests", plans.size(), steps_per_epoch_, requests_.size());
  backend_.copy_in({plans_, DType::f32, {steps_per_epoch_, kStepPlanFields}}, plans.data());
  position_ = requested_ = gathered_ = first_step;
  has_views_ = false;
  if (first_step == steps_per_epoch_) return;
  const StepPlan& first = plans[static_cast<std::size_t>(first_step)];
  StepState state{.seed = seed_,
                  .epoch = static_cast<std::uint32_t>(epoch),
                  .first = static_cast<std::uint32_t>(first_step * batch_size_),
                  .learning_rate = first.learning_rate,
                  .loss_scale = loss_scale(),
                  .position = static_cast<std::uint32_t>(first_step)};
  std::copy_n(first.scalars, kMethodScalars, state.scalars);
  set_state(state);
}

void TrainingStep::enqueue() {
  DPLL_CHECK(position_ < steps_per_epoch_, "step {} of an epoch of {}", position_ + 1, steps_per_epoch_);
  Batch& batch = batch_of(position_);
  use_images(batch, image_buffer_);
  if (!looks_ahead()) {
    batch.recorded.at({0, nullptr})();
  } else {
    if (!has_views_) augment(batch);
    Batch* const next = position_ + 1 < steps_per_epoch_ ? &batch_of(position_ + 1) : nullptr;
    batch.recorded.at({image_buffer_, next})();
    has_views_ = next != nullptr;
    image_buffer_ = 1 - image_buffer_;
  }
  ++position_;
  network_.state().batches_tracked += row_update_ == RowUpdate::after ? 2 * views_ : views_;
}

void TrainingStep::run(int epoch, std::int64_t step_in_epoch, const StepPlan& plan) {
  begin_epoch(epoch, step_in_epoch, std::vector<StepPlan>(static_cast<std::size_t>(steps_per_epoch_), plan));
  enqueue();
}

void TrainingStep::request_records() {
  const std::int64_t count = position_ - requested_;
  if (count == 0) return;
  DPLL_CHECK(requests_.size() < readbacks_.size(), "{} requests are open", requests_.size());
  const Tensor records{records_ + requested_, DType::f64, {count, kStepRecordFields}};
  readbacks_[next_slot_]->start(records);
  requests_.push_back({count, next_slot_});
  next_slot_ = (next_slot_ + 1) % readbacks_.size();
  requested_ = position_;
}

std::vector<StepRecord> TrainingStep::collect_records() {
  DPLL_CHECK(!requests_.empty(), "no records were requested");
  const Request request = requests_.front();
  requests_.pop_front();
  const auto* const records = static_cast<const StepRecord*>(readbacks_[request.slot]->wait());
  std::vector<StepRecord> collected(records, records + request.count);
  if (ranks_ == nullptr) return collected;
  // Gradients are those of all ranks, and so is what was judged of them.
  std::vector<ObjectiveMetrics> of_all;
  for (const StepRecord& record : collected) of_all.push_back(record.metrics);
  ranks_
      ->start_sum(reinterpret_cast<double*>(of_all.data()),
                  static_cast<std::int64_t>(of_all.size()) * kObjectiveMetricsFields)
      ->wait();
  for (std::size_t i = 0; i < collected.size(); ++i) {
    const double own = std::exchange(collected[i].metrics, of_all[i]).nonfinite;
    if (of_all[i].nonfinite == 0 || failing_rank_ >= 0) continue;
    std::vector<double> all(static_cast<std::size_t>(ranks_->size()));
    ranks_->all_gather(&own, sizeof own, all.data());
    failing_rank_ =
        static_cast<int>(std::find_if(all.begin(), all.end(), [](double n) { return n > 0; }) - all.begin());
  }
  return collected;
}

// The way of a batch through all operations.
void TrainingStep::run_operations(Batch& batch, Batch* next) {
  if (!looks_ahead()) {
    use_images(batch, 0);
    augment(batch);
  }
  if (next != nullptr) {
    use_images(*next, 1 - image_buffer_);
    augment(*next, batch.total, true);
  }
  use_images(batch, image_buffer_);
  forward(batch);
  rows_and_loss(batch);
  backward(batch);
  update();
  rows_after(batch);
  backend_.advance({.step = state_,
                    .batch = batch.total,
                    .records = records_,
                    .plans = plans_,
                    .last = last_,
                    .health = health_,
                    .steps = static_cast<std::uint32_t>(steps_per_epoch_)});
}

void TrainingStep::augment(Batch& batch, int ahead, bool beside) {
  const trace::Range range("augment");
  BatchRows of = rows(batch);
  of.ahead += ahead;
  batch.augment->run(batch.program->images(), of, beside);
}

void TrainingStep::forward(Batch& batch) {
  if (batch.teacher != nullptr) {
    const trace::Range range("teacher");
    batch.teacher->forward(rows(batch));
  }
  batch.program->forward(rows(batch));
}

void TrainingStep::backward(Batch& batch) {
  if (batch.sums == nullptr) {
    batch.program->backward(rows(batch));
    return;
  }
  batch.program->backward(rows(batch), [&](int layer) { batch.sums->layer_done(layer); });
  const trace::Range range("sums of the gradients");
  batch.sums->finish();
}

void TrainingStep::rows_and_loss(Batch& batch) {
  switch (row_update_) {
    case RowUpdate::same:
      objective(batch);
      break;
    case RowUpdate::before:
      objective(batch, ObjectivePart::rows);
      objective(batch, ObjectivePart::loss, true);
      break;
    case RowUpdate::after:
      objective(batch, ObjectivePart::loss);
      break;
  }
}

void TrainingStep::rows_after(Batch& batch) {
  if (row_update_ != RowUpdate::after) return;
  batch.program->forward(rows(batch));
  objective(batch, ObjectivePart::rows, true);
}

void TrainingStep::objective(Batch& batch, ObjectivePart part, bool adds) {
  const trace::Range range("objective");
  batch.objective->run({.part = part,
                        .adds = adds,
                        .d_logits = batch.program->d_logits(),
                        .targets = targets_,
                        .kept = kept_,
                        .last = last_,
                        .total = total_,
                        .logits = batch.program->logits(),
                        .teacher_logits = batch.teacher != nullptr ? batch.teacher->logits() : Tensor{},
                        .candidates = candidates_,
                        .labels = labels_,
                        .class_values = class_values_,
                        .rows = rows(batch),
                        .workspace = batch.objective_workspace});
}

void TrainingStep::update() {
  const trace::Range range("update");
  SgdCall call = network_.state().update_call();
  call.health = health_;
  call.step = state_;
  sgd_->run(call);
}

std::vector<std::pair<std::string, std::function<void()>>> TrainingStep::phases() {
  return {{"augment", [this] { augment(full_); }},
          {"forward", [this] { forward(full_); }},
          {"objective", [this] { rows_and_loss(full_); }},
          {"backward", [this] { backward(full_); }},
          {"update", [this] {
             update();
             rows_after(full_);
           }}};
}

void TrainingStep::set_order(const std::vector<std::int32_t>& order) {
  DPLL_CHECK(static_cast<std::int64_t>(order.size()) == samples_, "an order of {} for {} samples",
             order.size(), samples_);
  backend_.copy_in(order_, order.data());
  has_views_ = false;
  order_on_host_ = order;
}

}  // namespace dpll
