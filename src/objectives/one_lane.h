// The group of one lane: a sample's tensors in host memory. T: float on the CPU, double for the reference.
// And what both do with a batch of them.
#pragma once

#include <type_traits>

#include "dpll/ops/pll_objective.h"
#include "objectives/run_sample.h"

namespace dpll::objectives {

template <typename T>
class OneLane {
 public:
  static constexpr bool kSingle = std::is_same_v<T, float>;

  // scratch: double [scratch_arrays(views), classes]; sums: of the rounds, or null.
  OneLane(const PllObjectiveSpec& spec, const PllObjectiveCall& call, std::int64_t row, double* scratch,
          const double* sums)
      : spec_(spec), part_(call.part), state_(*call.rows.step), scratch_(scratch), sums_(sums) {
    const std::int64_t position = std::int64_t{state_.first} + call.rows.ahead + row;
    const std::int64_t sample =
        call.rows.order.defined() ? call.rows.order.template as<std::int32_t>()[position] : position;
    view_stride_ = std::int64_t{spec.batch} * spec.classes;
    logits_ = call.logits.template as<T>() + row * spec.classes;
    d_logits_ = call.d_logits.template as<T>() + row * spec.classes;
    row_ = call.targets.template as<T>() + sample * spec.classes;
    if (call.teacher_logits.defined()) {
      teacher_logits_ = call.teacher_logits.template as<T>() + row * spec.classes;
    }
    if (call.kept.defined()) kept_ = call.kept.template as<T>() + sample * call.kept.shape[1] * spec.classes;
    if (call.class_values.defined()) class_values_ = call.class_values.template as<T>();
    candidates_ = call.candidates.template as<std::uint64_t>() + sample * ((spec.classes + 63) / 64);
    label_ = call.labels.defined() ? call.labels.template as<std::int32_t>()[sample] : -1;
  }

  int classes() const { return spec_.classes; }
  int views() const { return spec_.views; }
  ObjectivePart part() const { return part_; }
  int first() const { return 0; }
  int stride() const { return 1; }
  double sum(double x) const { return x; }
  Top largest(const Top& top) const { return top; }
  double logit(int view, int k) const { return static_cast<double>(logits_[view * view_stride_ + k]); }
  double teacher_logit(int view, int k) const {
    return static_cast<double>(teacher_logits_[view * view_stride_ + k]);
  }
  bool in_set(int k) const { return ((candidates_[k / 64] >> (k % 64)) & 1u) != 0; }
  int label() const { return label_; }
  double row(int k) const { return static_cast<double>(row_[k]); }
  double set_row(int k, double x) const {
    row_[k] = static_cast<T>(x);
    return row(k);
  }
  double kept(int r, int k) const { return static_cast<double>(kept_[r * spec_.classes + k]); }
  void keep(int r, int k, double x) const { kept_[r * spec_.classes + k] = static_cast<T>(x); }
  double class_value(int k) const { return static_cast<double>(class_values_[k]); }
  void set_gradient(int view, int k, double x) const {
    if (part_ != ObjectivePart::rows) d_logits_[view * view_stride_ + k] = static_cast<T>(x);
  }
  int batch() const { return spec_.share.total_of(spec_.batch); }
  double batch_sum(int i) const { return sums_[i]; }
  double gradient_scale() const { return double{state_.loss_scale} / batch(); }
  double scalar(int i) const { return double{state_.scalars[i]}; }
  double* scratch(int i) const { return scratch_ + std::int64_t{i} * spec_.classes; }

 private:
  const PllObjectiveSpec& spec_;
  ObjectivePart part_;
  const StepState& state_;
  double* scratch_;
  const double* sums_;
  std::int64_t view_stride_;
  const T* logits_;
  const T* teacher_logits_ = nullptr;
  T *d_logits_, *row_;
  T* kept_ = nullptr;
  const T* class_values_ = nullptr;
  const std::uint64_t* candidates_;
  int label_;
};

// Where the samples of a batch have their scratch: side by side, or, where no round needs what was prepared,
// each in its chunk's place, which stays in the cache.
struct BatchScratch {
  double* memory;
  std::int64_t elements;  // of a sample
  std::int64_t samples_in_place;
  double* of(std::int64_t row) const { return memory + row / samples_in_place * elements; }
};

// The rounds of a method, then its function of every sample. sums: double [batch_sums_of(method)].
// for_each(count, per_chunk, work): calls work(begin, end) for chunks of the numbers below count, in any
// order.
template <typename T, typename M, typename ForEach>
void run_batch(const M& method, const PllObjectiveSpec& spec, const PllObjectiveCall& call,
               const BatchScratch& scratch, double* sums, ObjectiveMetrics* per_sample,
               std::int64_t per_chunk, const ForEach& for_each) {
  const auto sample = [&](std::int64_t row) { return OneLane<T>(spec, call, row, scratch.of(row), sums); };
  if constexpr (rounds_of<M>() > 0) {
    constexpr std::int64_t kSumsPerChunk = 16;
    double* of_round = sums;
    for (int round = 0; round < M::rounds; ++round) {
      for_each(spec.batch, per_chunk, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) method.prepare(round, sample(row));
      });
      const int count = method.round_sums(round, spec.classes);
      for_each(count, kSumsPerChunk, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) of_round[i] = 0;
        for (std::int64_t row = 0; row < spec.batch; ++row) {
          const OneLane<T> lane = sample(row);
          for (std::int64_t i = begin; i < end; ++i)
            of_round[i] += method.term(round, lane, static_cast<int>(i));
        }
      });
      if (spec.share.ranks != nullptr) spec.share.ranks->start_sum(of_round, count)->wait();
      of_round += count;
    }
  }
  for_each(spec.batch, per_chunk, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) per_sample[row] = run_sample(method, sample(row));
  });
}

}  // namespace dpll::objectives
