// The group with one lane: the tensors of a sample in host memory. T: float on the CPU, double for the
// reference.
#pragma once

#include <type_traits>

#include "dpll/ops/pll_objective.h"

namespace dpll::objectives {

template <typename T>
class OneLane {
 public:
  static constexpr bool kSingle = std::is_same_v<T, float>;

  // scratch: double [scratch_arrays(views), classes].
  OneLane(const PllObjectiveSpec& spec, const PllObjectiveCall& call, std::int64_t row, double* scratch)
      : spec_(spec), state_(*call.rows.step), scratch_(scratch) {
    const std::int64_t position = std::int64_t{state_.first} + row;
    const std::int64_t sample =
        call.rows.order.defined() ? call.rows.order.template as<std::int32_t>()[position] : position;
    view_stride_ = std::int64_t{spec.batch} * spec.classes;
    logits_ = call.logits.template as<T>() + row * spec.classes;
    d_logits_ = call.d_logits.template as<T>() + row * spec.classes;
    row_ = call.targets.template as<T>() + sample * spec.classes;
    candidates_ = call.candidates.template as<std::uint64_t>() + sample * ((spec.classes + 63) / 64);
    label_ = call.labels.defined() ? call.labels.template as<std::int32_t>()[sample] : -1;
  }

  int classes() const { return spec_.classes; }
  int views() const { return spec_.views; }
  int first() const { return 0; }
  int stride() const { return 1; }
  double sum(double x) const { return x; }
  Top largest(const Top& top) const { return top; }
  double logit(int view, int k) const { return static_cast<double>(logits_[view * view_stride_ + k]); }
  bool in_set(int k) const { return ((candidates_[k / 64] >> (k % 64)) & 1u) != 0; }
  int label() const { return label_; }
  double row(int k) const { return static_cast<double>(row_[k]); }
  double set_row(int k, double x) const {
    row_[k] = static_cast<T>(x);
    return row(k);
  }
  void set_gradient(int view, int k, double x) const {
    d_logits_[view * view_stride_ + k] = static_cast<T>(x);
  }
  double gradient_scale() const { return double{state_.loss_scale} / spec_.batch; }
  double scalar(int i) const { return double{state_.scalars[i]}; }
  double* scratch(int i) const { return scratch_ + std::int64_t{i} * spec_.classes; }

 private:
  const PllObjectiveSpec& spec_;
  const StepState& state_;
  double* scratch_;
  std::int64_t view_stride_;
  const T* logits_;
  T *d_logits_, *row_;
  const std::uint64_t* candidates_;
  int label_;
};

}  // namespace dpll::objectives
