// pll_objective: the PLCR objective with its gradient, the update of the targets and the metrics, in one pass
// over the logits of all views (Wu, Wang, Zhang, ICML 2022, equations 3 to 8).
//
// For sample i with candidate set S_i, stored target t_i (a distribution on S_i) and p_v = softmax(logits of
// view v):
//   supervised   L_sup = -(1/B) sum_i sum_{j not in S_i} log(c - p_0ij)         weak view only
//                article: c = 1 + 1e-6 (in the compute type);  published: c = 1 + 2^-23
//   consistency  L_con =  (1/B) sum_i sum_v KL(t_i || p_v)                      a sum over views; 0 log 0 = 0
//   total        L = lambda L_con + L_sup
//   d_logits     dL/dlogits * loss_scale; no gradient through t
//   new target   t_i <- normalise(S_i * (prod_v p_v)^(1/V)), that is, softmax over S_i of the mean
//   log-probability
// The loss uses the old row. Everything is computed from log-probabilities (log-sum-exp), with c - p
// evaluated without cancellation (c - 1 plus the sum of the other classes' probabilities when p is near 1),
// so that all results are finite for any finite logits, one-candidate and all-candidate sets included.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dpll/config.h"
#include "dpll/ops/common.h"

namespace dpll {

// Sums over the samples seen since the trainer last zeroed them.
struct ObjectiveMetrics {
  double samples = 0;
  double total = 0, supervised = 0, consistency = 0;  // per-sample losses, unweighted terms except `total`
  double labelled = 0;        // samples whose true label is known; the next two count among them
  double train_correct = 0;   // argmax of the weak view is the truth
  double pseudo_correct = 0;  // argmax of the new target is the truth
  double covered = 0;         // argmax of the weak view is a candidate (PLENCH's covering rate)
  double target_entropy = 0;  // of the new target, in nats
  double target_max = 0;      // largest entry of the new target
  double target_changed = 0;  // argmax of the new target differs from the old one's
  // Samples with a logit, loss or new target that is NaN or infinite. They count here and in `samples` alone,
  // their target row stays as it was, and a view with such a logit gets a d_logits row of NaN, so that the
  // update is skipped.
  double nonfinite = 0;
};
inline constexpr int kObjectiveMetricsFields = sizeof(ObjectiveMetrics) / sizeof(double);

struct PllObjectiveSpec {
  int views = 3, batch = 1, classes = 2;
  ObjectiveVariant variant = ObjectiveVariant::article;
};

struct PllObjectiveCall {
  Tensor d_logits = {};               // compute [V*B, classes]
  Tensor targets = {};                // master [N, classes]; rows of the batch are read, then overwritten
  ObjectiveMetrics* last = nullptr;   // backend memory: this step alone
  ObjectiveMetrics* total = nullptr;  // backend memory: added to
  Tensor logits = {};                 // compute [V*B, classes]
  Tensor candidates = {};             // u64 [N, (classes + 63) / 64], see CandidateSets
  Tensor labels = {};                 // i32 [N], -1 = unknown; or undefined
  BatchRows rows = {};
  void* workspace = nullptr;
};

class PllObjective {
 public:
  virtual ~PllObjective() = default;
  virtual std::size_t workspace_bytes() const = 0;
  virtual void run(const PllObjectiveCall& call) = 0;
};

// cross_entropy: evaluation, -log softmax(logits)[label], by log-sum-exp. Adds to `sums` over the rows of
// `logits`; NaN or infinite logits show as a NaN or infinite loss.
struct EvaluationSums {
  double samples = 0, loss = 0, correct = 0;
};

struct CrossEntropyCall {
  EvaluationSums* sums = nullptr;  // backend memory: added to
  Tensor predictions = {};  // i32 [N] or undefined: argmax of each row's sample (the first one among equals)
  Tensor confidences = {};  // f32 [N] or undefined: its probability
  Tensor logits = {};       // compute [rows, classes]
  Tensor labels = {};       // i32 [N], -1 = unknown (not counted); or undefined
  BatchRows rows = {};
};

}  // namespace dpll
