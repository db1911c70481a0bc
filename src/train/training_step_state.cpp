// What a TrainingStep holds between steps: tables, sums and scalars, and how ranks bring each other up to
// date.
#include <algorithm>
#include <cmath>

#include "backend/host_copy.h"
#include "train/nonfinite.h"
#include "train/training_step.h"

namespace dpll {

ObjectiveMetrics TrainingStep::of_all_ranks(const ObjectiveMetrics& own) const {
  ObjectiveMetrics sum = own;
  if (ranks_ != nullptr) ranks_->start_sum(reinterpret_cast<double*>(&sum), kObjectiveMetricsFields)->wait();
  return sum;
}

void TrainingStep::gather(std::int64_t steps) {
  if (ranks_ == nullptr || steps == gathered_) return;
  // Of each step from `gathered_` on: the samples of a rank, in order.
  const auto samples_of = [&](int rank) {
    std::vector<std::int64_t> samples;
    for (std::int64_t step = gathered_; step < steps; ++step) {
      const int size = batch_of(step).total;
      for (int i = share_begin(size, rank, ranks_->size()); i < share_begin(size, rank + 1, ranks_->size());
           ++i) {
        samples.push_back(order_on_host_[static_cast<std::size_t>(step * batch_size_ + i)]);
      }
    }
    return samples;
  };
  for (const Tensor& table : {targets_, kept_}) {
    if (!table.defined()) continue;
    std::vector<std::uint8_t> bytes(table.bytes());
    backend_.copy_out(bytes.data(), table);
    const std::size_t row = bytes.size() / static_cast<std::size_t>(samples_);
    const auto row_of = [&](std::int64_t sample) {
      return bytes.begin() + sample * static_cast<std::int64_t>(row);
    };
    std::vector<std::uint8_t> own;
    for (const std::int64_t sample : samples_of(ranks_->rank())) {
      own.insert(own.end(), row_of(sample), row_of(sample) + static_cast<std::int64_t>(row));
    }
    const std::vector<std::vector<std::uint8_t>> all = ranks_->all_gather(own);
    for (int rank = 0; rank < ranks_->size(); ++rank) {
      auto from = all[static_cast<std::size_t>(rank)].begin();
      for (const std::int64_t sample : samples_of(rank)) {
        std::copy_n(from, row, row_of(sample));
        from += static_cast<std::int64_t>(row);
      }
    }
    backend_.copy_in(table, bytes.data());
  }
  ObjectiveMetrics own;
  backend_.copy_out(&own, as_bytes(total_));
  gathered_total_ = of_all_ranks(own);
  ModelState& model = network_.state();
  for (int i = 0; i < model.buffers() && !global_norm_; ++i) {
    std::vector<float> values = model.read_buffer(i);
    ranks_->broadcast(values.data(), values.size() * sizeof(float));
    model.write_buffer(i, values);
  }
  gathered_ = steps;
}

ObjectiveMetrics TrainingStep::last_metrics() const {
  ObjectiveMetrics metrics;
  backend_.copy_out(&metrics, as_bytes(last_));
  return of_all_ranks(metrics);
}

ObjectiveMetrics TrainingStep::total_metrics() const {
  if (ranks_ != nullptr) return gathered_total_;
  ObjectiveMetrics metrics;
  backend_.copy_out(&metrics, as_bytes(total_));
  return metrics;
}

void TrainingStep::set_total_metrics(const ObjectiveMetrics& metrics) {
  gathered_total_ = metrics;
  // Each rank adds to its own sums; those given are rank 0's.
  const ObjectiveMetrics others;
  backend_.copy_in(as_bytes(total_), ranks_ == nullptr || ranks_->rank() == 0 ? &metrics : &others);
}

UpdateHealth TrainingStep::health() const {
  UpdateHealth health;
  backend_.copy_out(&health, as_bytes(health_));
  return health;
}

float TrainingStep::loss_scale() const {
  return state().loss_scale;
}

void TrainingStep::restore_loss_scale(float loss_scale, std::uint32_t good_steps) {
  StepState changed = state();
  changed.loss_scale = loss_scale;
  set_state(changed);
  UpdateHealth health = this->health();
  health.good_steps = good_steps;
  backend_.copy_in(as_bytes(health_), &health);
}

void TrainingStep::restore_updates(std::uint64_t updates) {
  UpdateHealth health = this->health();
  health.updates = updates;
  backend_.copy_in(as_bytes(health_), &health);
}

std::vector<float> TrainingStep::targets() const {
  return read_floats(backend_, targets_);
}

void TrainingStep::set_targets(const std::vector<float>& targets) {
  write_floats(backend_, targets_, targets);
}

std::vector<float> TrainingStep::kept() const {
  return kept_rows_ > 0 ? read_floats(backend_, kept_) : std::vector<float>();
}

void TrainingStep::set_kept(const std::vector<float>& kept) {
  if (kept_rows_ > 0) write_floats(backend_, kept_, kept);
}

void TrainingStep::set_candidates(const CandidateSets& candidates) {
  DPLL_CHECK(candidates.count == samples_ && candidates.classes == classes_,
             "candidates for {} samples, {} classes", candidates.count, candidates.classes);
  backend_.copy_in(candidates_, candidates.words.data());
}

void TrainingStep::end_epoch(int epoch) {
  if (hook_ == nullptr) return;
  std::vector<float> targets = this->targets(), kept = this->kept();
  CandidateSets sets = candidates();
  EpochTable table{targets, kept, sets, first_candidates_, seed_};
  hook_->end_epoch(epoch, table);
  set_targets(targets);
  set_kept(kept);
  set_candidates(sets);
}

std::vector<std::pair<std::string, double>> TrainingStep::method_figures(const ObjectiveMetrics& sums) const {
  std::vector<std::pair<std::string, double>> figures;
  const MethodFacts facts = facts_of(method_);
  for (std::size_t i = 0; i < facts.metric_names.size(); ++i) {
    if (facts.metric_names[i] == nullptr) continue;
    figures.emplace_back(facts.metric_names[i], sums.of_method[i] / sums.samples);
  }
  if (hook_ != nullptr) {
    for (const auto& figure : hook_->figures()) figures.push_back(figure);
  }
  return figures;
}

CandidateSets TrainingStep::candidates() const {
  CandidateSets sets(samples_, classes_);
  backend_.copy_out(sets.words.data(), candidates_);
  return sets;
}

std::vector<std::int64_t> TrainingStep::batch_samples(std::int64_t step_in_epoch) const {
  const auto first = order_on_host_.begin() + step_in_epoch * batch_size_;
  const auto end = order_on_host_.begin() + std::min(samples_, (step_in_epoch + 1) * batch_size_);
  return {first, end};
}

void TrainingStep::restart() {
  const CandidateSets& sets = first_candidates_;
  const auto table = static_cast<std::size_t>(samples_ * classes_);
  std::vector<float> initial(table, 0.0F), kept(table * static_cast<std::size_t>(kept_rows_));
  std::size_t next_kept = 0;
  if (!sets.weights.empty()) initial = sets.weights;
  for (std::int64_t i = 0; i < samples_; ++i) {
    const int size = sets.size(i);
    for (int c = 0; c < classes_ && sets.weights.empty(); ++c) {
      if (sets.contains(i, c)) {
        initial[static_cast<std::size_t>(i * classes_ + c)] = 1.0F / static_cast<float>(size);
      }
    }
    for (int r = 0; r < kept_rows_; ++r) {
      for (int c = 0; c < classes_; ++c) {
        kept[next_kept++] =
            static_cast<float>(first_kept_of(method_, r, sets.contains(i, c), size, classes_));
      }
    }
  }
  set_targets(initial);
  set_kept(kept);
  set_candidates(sets);
  if (hook_ != nullptr) hook_->restart();
  backend_.fill_zero(as_bytes(total_));
  backend_.fill_zero(as_bytes(health_));
  set_state({.seed = seed_, .loss_scale = backend_.compute_dtype() == DType::f16 ? kFirstLossScale : 1.0F});
}

void TrainingStep::forget_failure() {
  while (!requests_.empty()) collect_records();
  failing_rank_ = -1;
  backend_.synchronize();
  backend_.fill_zero(as_bytes(health_));
}

// Whether one has. If all have, none is to blame.
bool TrainingStep::name_failing_rank(bool own) {
  if (ranks_ == nullptr) return own;
  const std::uint8_t failed = own ? 1 : 0;
  std::vector<std::uint8_t> all(static_cast<std::size_t>(ranks_->size()));
  ranks_->all_gather(&failed, 1, all.data());
  const auto count = std::count(all.begin(), all.end(), 1);
  if (failing_rank_ < 0 && count > 0 && count < ranks_->size()) {
    failing_rank_ = static_cast<int>(std::find(all.begin(), all.end(), 1) - all.begin());
  }
  return count > 0;
}

std::string TrainingStep::diagnose(std::int64_t step_in_epoch) {
  Program& program = *batch_of(step_in_epoch).program;
  ModelState& model = network_.state();
  std::vector<std::string> gradients;
  for (int i = 0; i < model.parameters(); ++i) {
    std::string found = nonfinite_gradient(model, i);
    if (!found.empty()) gradients.push_back(std::move(found));
  }
  if (std::string found = nonfinite_parameter(model); !found.empty()) return found;
  StepState again = state();
  again.first = static_cast<std::uint32_t>(step_in_epoch * batch_size_);
  set_state(again);
  has_views_ = false;
  Batch& batch = batch_of(step_in_epoch);
  augment(batch);
  program.forward(rows(batch));
  const std::string found = nonfinite_activation(backend_, program);
  if (!name_failing_rank(!found.empty()) && ranks_ != nullptr && !gradients.empty()) {
    // Sums hide whose gradients they are of. The rows that this changes belong to a step that is refused.
    rows_and_loss(batch);
    program.backward(rows(batch));
    bool own = false;
    for (int i = 0; i < model.parameters(); ++i) own = own || !nonfinite_gradient(model, i).empty();
    name_failing_rank(own);
  }
  if (!found.empty()) return found;
  // Gradients are written from the last layer to the first, so the wrong one nearest to the end came first.
  return gradients.empty() ? "the loss" : gradients.back();
}

}  // namespace dpll
