// What all operations share: modes, batch geometry, parameters of batch norm, values of a step.
//
// These rules hold for every operation in this folder:
// - Layout: activations are row-major [views * batch, H, W, C]. The view is the outermost index: rows
//   [v * batch, (v + 1) * batch) are view v.
// - Types: "compute" tensors (activations and their gradients) have type Backend::compute_dtype(), "master"
//   tensors (parameters, their gradients, statistics) Backend::master_dtype(), "weight" tensors (the weights
//   of convolutions and linear layers, and their gradients) Backend::weight_dtype().
// - Calls: each call takes one struct of tensor views: outputs, inputs, values that forward saved for
//   backward, workspace. Tensors that the spec does not need stay undefined. Outputs are overwritten unless
//   the struct says Accumulate.
// - Aliasing: no two tensors of a call may overlap unless the header names the pair.
// - Memory: operations own no tensor memory. `saved` lives from forward to backward, `workspace` only during
//   a call. The caller provides both, with saved_bytes() and workspace_bytes() bytes, 64-byte aligned.
// - Determinism: the same inputs, spec and number of threads give bit-identical results.
#pragma once

#include <cstdint>

#include "dpll/core/tensor.h"
#include "dpll/ranks.h"
#include "objectives/sample.h"

namespace dpll {

enum class Mode { train, eval };
enum class Accumulate { no, yes };

inline constexpr double kBatchNormEpsilon = 1e-5;
inline constexpr double kBatchNormMomentum = 0.1;

// Values that change from step to step. They live in backend memory, so that a recorded step (a CUDA graph)
// reads new values each time it is replayed. The trainer writes them before the first step of an epoch; each
// step then computes the values of the next step (ops/advance.h).
struct StepState {
  std::uint64_t seed = 0;   // run seed: key of every Philox draw
  std::uint32_t epoch = 0;  // 0-based
  std::uint32_t first = 0;  // position of the batch's first sample in the epoch's order
  float learning_rate = 0;
  float scalars[kMethodScalars] = {};  // of the objective's method
  float loss_scale = 1;                // d_logits are multiplied by it, the update divides by it
  std::uint32_t position = 0;          // of the step in its epoch
};

// Which samples the rows of a batch are: row r of every view is sample order[step->first + ahead + r], or
// step->first + ahead + r where `order` is undefined (evaluation).
struct BatchRows {
  const StepState* step = nullptr;  // backend memory
  Tensor order = {};                // i32 [N] or undefined
  // Of a rank's share of the batch, and of the views of a batch that comes later in the epoch.
  int ahead = 0;
};

// A batch that several ranks share; the rows of an operation are this rank's.
struct BatchShare {
  Ranks* ranks = nullptr;  // null: all of the batch is here
  int total = 0;           // samples per view of all ranks together

  int total_of(int batch) const { return ranks != nullptr ? total : batch; }
  bool operator==(const BatchShare&) const = default;
};

// Parameters of one batch normalisation over C channels; all master [C].
//   z = gamma * (x - mean) / sqrt(var + kBatchNormEpsilon) + beta
// In training mean and var are those of the row's view (biased variance over its batch*H*W values). The
// running statistics are then updated once per view, in view order, with momentum kBatchNormMomentum and the
// unbiased variance (n / (n - 1), n = 1 counts as n = 2). The result is the same as after one forward pass
// per view. With a BatchShare, mean, var and n, and in backward what d_x has through them, are those of all
// ranks; d_gamma and d_beta are sums over this rank's rows. In evaluation the running statistics replace mean
// and var. Source: Ioffe & Szegedy 2015; PLCR's code does one forward pass per view.
struct BatchNorm {
  Tensor gamma, beta;
  Tensor running_mean, running_var;
  Tensor d_gamma, d_beta;  // written by backward: sums over all views
};

// Where a backend has a second queue (Backend::side_layers()), an operation may put work there that is not
// needed at once: the gradients of its parameters, and what a projection computes beside a convolution.
struct SideQueue {
  // The operation's side_workspace_bytes(); null: everything is done in the usual queue.
  void* workspace = nullptr;
  // Backward: the mark of work in the second queue that reads what the operation overwrites with its input's
  // gradient; -1: there is none. When the operation returns, its parameters' gradients may be unfinished.
  int before_gradient = -1;
};

// Per-view statistics of an activation with C channels: master [V, 2, C]; [v][0] mean, [v][1] biased variance
// of view v. They are computed without the cancellation of E[x^2] - E[x]^2.
inline Shape view_stats_shape(int views, int channels) {
  return {views, 2, channels};
}

}  // namespace dpll
