// Faults in a copy of the kernels, which tests must find: emulation.cmake puts them in, each where it says
// DPLL_FAULT(name), and one at a time is active.
#pragma once

namespace dpll::emulation {

enum class Fault {
  none,
  // a barrier is missing
  augment_barrier,
  compare_barrier,
  normaliser_barrier,
  row_lanes_barrier,
  statistics_barrier,
  sum_barrier,
  top_barrier,
  // an index is off
  augment_box,
  backward_view,
  dropout_ahead,
  dropout_word,
  feature_views_row,
  forward_window,
  fused_statistics_view,
  join_shortcut_pixel,
  metrics_field,
  rank_rows,
  rank_statistics_shares,
  sgd_one_too_far,
  // a reduction leaves something out, or a term has another sign
  add_gradients_tail,
  advance_every_thread,
  average_next_image,
  backward_window,
  counter_not_reset,
  fence_missing,
  compare_last_thread,
  fused_bias_sign,
  join_shortcut_slope,
  metrics_count_kept,
  no_wait,
  metrics_last_sample,
  metrics_too_early,
  rank_statistics_last,
  rank_sums_last,
  reduce_half_a_warp,
  reduce_last_warp,
  statistics_last_block,
  sum_parts_last,
  sums_last_block,
};

inline Fault active_fault = Fault::none;

// Active while it lives.
class ActiveFault {
 public:
  explicit ActiveFault(Fault fault) { active_fault = fault; }
  ~ActiveFault() { active_fault = Fault::none; }
  ActiveFault(const ActiveFault&) = delete;
  ActiveFault& operator=(const ActiveFault&) = delete;
};

}  // namespace dpll::emulation

#define DPLL_FAULT(name) (::dpll::emulation::active_fault == ::dpll::emulation::Fault::name)
// To add to the end of a loop, or to an index.
#define DPLL_ONE_IF_FAULT(name) (DPLL_FAULT(name) ? 1 : 0)
