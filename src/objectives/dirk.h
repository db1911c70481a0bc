// DIRK: a teacher's output, rectified by the candidate set, is what the trained network learns. Wu, Wang,
// Zhang: Distilling Reliable Knowledge for Instance-Dependent Partial Label Learning, AAAI 2024; without its
// contrastive part (DIRK-REF).
//
// For a sample with candidates S, p_v = softmax(logits of view v) and q_v the same of the teacher, view by
// view:
//   c_j  = q_j / sum_{S} q        on S, the teacher's confidence in the candidates
//   n_j  = q_j / sum_{not S} q    off S
//   a    = m / (m + min_{S} q),   m = max_{not S} n
//   y_j  = a c_j on S, (1 - a) n_j off S: no candidate's label is smaller than one of the others'
//   loss L = -(1/V) sum_v sum_j y_vj log p_vj
// With all classes in S, y = c. No gradient goes through y. The published code has a = M m / (M m + min_{S}
// c) with M = 1 / sum_{S} q, which is the same; `variant = published` also adds its 1e-20 to the divisor of
// n, which matters where the teacher gives next to nothing to the classes off S: y then loses mass.
//
// The teacher's parameters are the moving average of the trained network's, after each update:
//   teacher <- momentum * teacher + (1 - momentum) * trained
// It begins with parameters of its own, as in the published code, which draws both and copies nothing. Its
// batch norms use the statistics of its own batches and have their own running statistics. Dropout, where a
// network has it, drops the same units of both.
//
// Row: norm_S(p_0), which the loss does not use. The published code trains on one view, with Cutout and on
// CIFAR with AutoAugment, and evaluates the trained network ("student"); `views.weak_policy =
// flip_crop_cutout` has the Cutout.
#pragma once

#include "objectives/of_probabilities.h"

namespace dpll {

// A group whose logits are the teacher's.
template <typename Group>
struct TeacherLanes {
  const Group& group;
  DPLL_HD_MEMBER int classes() const { return group.classes(); }
  DPLL_HD_MEMBER int first() const { return group.first(); }
  DPLL_HD_MEMBER int stride() const { return group.stride(); }
  DPLL_HD_MEMBER double sum(double x) const { return group.sum(x); }
  DPLL_HD_MEMBER objectives::Top largest(const objectives::Top& top) const { return group.largest(top); }
  DPLL_HD_MEMBER double logit(int view, int k) const { return group.teacher_logit(view, k); }
};

struct Dirk final : objectives::PlainMethod {
  ObjectiveVariant variant = ObjectiveVariant::article;
  double momentum = 0.99;

  static constexpr objectives::About about = {
      "dirk",
      "Wu, Wang, Zhang: Distilling Reliable Knowledge for Instance-Dependent Partial Label Learning, AAAI "
      "2024",
      "L = -sum_j y_j log p_j, y: the output of a moving average of the network, rectified by S"};
  template <typename Keys>
  void keys(const Keys& key) {
    key.choice("variant", variant,
               "labels off the set normalised as in the article, or with 1e-20 in the divisor, as published");
    key.real("momentum", momentum, 0, 0.999999, "share of the teacher that an update of the weights keeps");
  }
  bool operator==(const Dirk&) const = default;

  static constexpr bool has_teacher = true;
  double teacher_momentum() const { return momentum; }

  DPLL_HD_MEMBER static constexpr int scratch_arrays(int /*views*/) { return 5; }

  // y into label[k]; others: scratch.
  template <typename Group>
  DPLL_HD_MEMBER void rectify(const Group& g, int view, double* log_q, double* others, double* label) const {
    using namespace objectives;
    const TeacherLanes<Group> teacher{g};
    output_of(teacher, view, label, log_q);  // label: q, for a moment
    double least_log = 0, off_mass = 0;
    Top smallest;
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      if (g.in_set(k)) {
        smallest = larger(smallest, {-log_q[k], k});
      } else {
        off_mass += label[k];
      }
    }
    least_log = -g.largest(smallest).value;
    off_mass = g.sum(off_mass);
    const auto score = [&](int k) { return log_q[k]; };
    const NewRow on = softmax_over(
        g, label, [&](int k) { return g.in_set(k); }, score, 1);
    const NewRow off = softmax_over(
        g, others, [&](int k) { return !g.in_set(k); }, score, 1);
    double share = 1, off_scale = 0;
    if (off.total > 0) {
      off_scale = 1 / off.total;
      if (variant == ObjectiveVariant::published) off_scale *= off_mass / (off_mass + 1e-20);
      // The largest weight is 1.
      if (off_scale > 0) share = off_scale / (off_scale + exp(least_log));
    }
    for (int k = g.first(); k < g.classes(); k += g.stride()) {
      label[k] = g.in_set(k) ? share * label[k] / on.total : (1 - share) * off_scale * others[k];
    }
  }

  template <typename Group>
  DPLL_HD_MEMBER objectives::Outcome run(const Group& g) const {
    using namespace objectives;
    double* const p = g.scratch(0);
    double* const log_p = g.scratch(1);
    double* const slope = g.scratch(2);
    double* const label = g.scratch(3);
    double* const scratch = g.scratch(4);
    Outcome outcome;
    for (int v = 0; v < g.views(); ++v) {
      rectify(g, v, log_p, slope, label);
      const ViewOutput out = output_of(g, v, p, log_p);
      if (v == 0) outcome.predicted = out.softmax.top;
      outcome.total += row_cross_entropy(
                           g, out, [&](int k) { return label[k]; }, slope) /
                       g.views();
      set_view_gradient(g, out, slope, g.gradient_scale() / g.views());
    }
    outcome.row = weak_view_on_candidates(g, scratch);
    outcome.weight = scratch;
    return outcome;
  }
};

}  // namespace dpll
