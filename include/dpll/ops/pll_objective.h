// pll_objective: the loss of a partial-label method with its gradient, the update of the target rows, and the
// metrics, in one pass over the logits of all views. The formula of each method is in src/objectives.
//
//   loss      mean over the batch of the method's loss of a sample
//   d_logits  dL/dlogits * loss_scale
//   rows      the samples' rows of the table become the method's new ones; the loss uses the old ones.
//             Likewise the rows that a method keeps besides
//
// A call may do a part of this, so that rows are made before the loss, or from another forward pass.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dpll/ops/common.h"
#include "objectives/methods.h"

namespace dpll {

// Sums over the samples seen since the trainer last zeroed them.
struct ObjectiveMetrics {
  double samples = 0;
  double total = 0;                        // the samples' losses
  double supervised = 0, consistency = 0;  // their unweighted terms, if the method has them
  double labelled = 0;                     // samples with a known true label; the next two count only these
  double train_correct = 0;                // argmax of the weak view is the true label
  double pseudo_correct = 0;               // argmax of the new target is the true label
  double covered = 0;                      // argmax of the weak view is a candidate (PLENCH's covering rate)
  double target_entropy = 0;               // of the new target, in nats
  double target_max = 0;                   // largest entry of the new target
  double target_changed = 0;               // argmax of the new target differs from the old one's
  // Samples with a logit, loss or new target that is NaN or infinite. They count only here and in `samples`.
  // Their target row does not change. A view with such a logit gets a d_logits row of NaN, so that the update
  // is skipped.
  double nonfinite = 0;
  double of_method[kMethodMetrics] = {};  // what the method measures besides; its metric_names
};
inline constexpr int kObjectiveMetricsFields = sizeof(ObjectiveMetrics) / sizeof(double);

struct PllObjectiveSpec {
  int views = 3, batch = 1, classes = 2;
  Method method = Plcr{};
  // With ranks: the loss is the mean over the batch of all ranks, and so are the sums of a method over the
  // batch. Metrics are of this rank's samples.
  BatchShare share = {};
};

enum class ObjectivePart {
  all,
  loss,  // loss, gradient and their metrics; the rows stay as they are
  rows,  // the rows and their metrics (pseudo_correct and those of the target); no gradient is written
};

struct PllObjectiveCall {
  ObjectivePart part = ObjectivePart::all;
  bool adds = false;     // to `last`, as the second call of a step; else `last` is this call's alone
  Tensor d_logits = {};  // compute [V*B, classes]
  Tensor targets = {};   // master [N, classes]; rows of the batch are read, then overwritten
  Tensor kept = {};      // master [N, kept_rows, classes], likewise; undefined: the method has none
  ObjectiveMetrics* last = nullptr;   // backend memory: this step alone
  ObjectiveMetrics* total = nullptr;  // backend memory: added to
  Tensor logits = {};                 // compute [V*B, classes]
  Tensor teacher_logits = {};         // compute [V*B, classes]; undefined: the method has no teacher
  Tensor candidates = {};             // u64 [N, (classes + 63) / 64], see CandidateSets
  Tensor labels = {};                 // i32 [N], -1 = unknown; or undefined
  Tensor class_values = {};           // master [classes], of the method; undefined: it has none
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
// `logits`; NaN or infinite logits give a NaN or infinite loss.
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
