// What all operation contracts share: modes, batch geometry, batch-norm parameters, per-step values.
//
// Conventions of every op in this folder
//   Layout      Activations are row-major [views * batch, H, W, C], view-major: rows [v * batch, (v+1) *
//   batch) are view v. Types       "compute" tensors (activations and their gradients) are
//   Backend::compute_dtype(), "master" tensors
//               (parameters, their gradients, statistics) Backend::master_dtype(), "weight" tensors (what
//               convolutions and linear layers multiply with, and its gradient) Backend::weight_dtype().
//   Calls       One struct of views a call: outputs, inputs, what forward saved for backward, workspace.
//   Tensors that a
//               spec does not ask for stay undefined. Outputs are overwritten unless the struct says
//               Accumulate.
//   Aliasing    No two tensors of a call may overlap unless the contract names the pair.
//   Memory      Ops own no tensor memory. `saved` lives from forward to backward, `workspace` only during a
//   call;
//               the caller provides both, of saved_bytes() and workspace_bytes() bytes, 64-byte aligned.
//   Determinism With the same inputs, spec and thread count, results are bit-identical.
#pragma once

#include <cstdint>

#include "dpll/core/tensor.h"
#include "objectives/sample.h"

namespace dpll {

enum class Mode { train, eval };
enum class Accumulate { no, yes };

inline constexpr double kBatchNormEpsilon = 1e-5;
inline constexpr double kBatchNormMomentum = 0.1;

// Values that change from step to step. They live in backend memory, so that a recorded step (a CUDA graph)
// reads fresh values each time it is replayed. The trainer writes them before an epoch's first step; each
// step leaves them as the next one needs them (ops/advance.h).
struct StepState {
  std::uint64_t seed = 0;   // run seed: key of every Philox draw
  std::uint32_t epoch = 0;  // 0-based
  std::uint32_t first = 0;  // position of the batch's first sample in the epoch's order
  float learning_rate = 0;
  float scalars[kMethodScalars] = {};  // of the objective's method
  float loss_scale = 1;                // d_logits are multiplied by it, the update divides by it
  std::uint32_t position = 0;          // of the step in its epoch
};

// Which samples the rows of a batch are: row r of every view is sample order[step->first + r], or step->first
// + r where `order` is undefined (evaluation).
struct BatchRows {
  const StepState* step = nullptr;  // backend memory
  Tensor order;                     // i32 [N] or undefined
};

// Parameters of one batch normalisation over C channels; all master [C].
//   z = gamma * (x - mean) / sqrt(var + kBatchNormEpsilon) + beta
// In training mean and var are those of the row's view (biased variance over its batch*H*W values). The
// running statistics are then updated once a view, in view order, with momentum kBatchNormMomentum and the
// unbiased variance (n / (n - 1), n = 1 counts as n = 2): what as many separate forward passes would leave.
// In evaluation the running statistics take the place of mean and var. Source: Ioffe & Szegedy 2015; the
// per-view rule is PLCR's three passes.
struct BatchNorm {
  Tensor gamma, beta;
  Tensor running_mean, running_var;
  Tensor d_gamma, d_beta;  // written by backward: sums over all views
};

// Per-view statistics of an activation with C channels: master [V, 2, C]; [v][0] mean, [v][1] biased variance
// of view v. Producers compute them without the cancellation of E[x^2] - E[x]^2.
inline Shape view_stats_shape(int views, int channels) {
  return {views, 2, channels};
}

}  // namespace dpll
