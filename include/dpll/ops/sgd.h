// sgd: one pass over all parameters. Parameters and velocities are flat arrays. The weights of convolutions
// and linear layers come first; their gradients have the weight type. If that type has 16 bits, the pass also
// writes a copy of the new values in it.
//   g = d_value / loss_scale + weight_decay * value
//   velocity = momentum * velocity + g
//   value -= learning_rate * (nesterov ? g + momentum * velocity : velocity)
//   average = ema * average + (1 - ema) * value       with ema > 0
//   weight = value, rounded                           the first `weights` elements, where `weight` is given
//   average_weight = average, rounded                 likewise
// PyTorch's SGD with dampening 0; weight decay falls on every parameter, batch norm and biases included, as
// published.
//
// With Optimiser::adam and adamw (Kingma and Ba, ICLR 2015, algorithm 1; Loshchilov and Hutter, ICLR 2019,
// algorithm 2), t being the number of updates with this one, as PyTorch computes them:
//   g = d_value / loss_scale + weight_decay * value                     adam
//   g = d_value / loss_scale; value -= learning_rate * weight_decay * value     adamw
//   velocity = beta1 * velocity + (1 - beta1) * g
//   square = beta2 * square + (1 - beta2) * g * g
//   value -= learning_rate / (1 - beta1^t) * velocity / (sqrt(square) / sqrt(1 - beta2^t) + epsilon)
//
// If any gradient is NaN or infinite nothing is changed and the step counts as skipped.
//
// The meaning of a skipped step depends on the loss scale. If the scale is dynamic, gradients beyond the
// 16-bit range are expected from time to time: the scale of the following steps is halved, and it is doubled
// again after kLossScaleInterval steps without such a gradient (Micikevicius et al., "Mixed Precision
// Training", 2018). Otherwise, or if the scale would fall below kLeastLossScale, the update halts: no later
// step changes anything, so that the state of the failed step can be inspected.
#pragma once

#include <cmath>
#include <cstdint>

#include "dpll/core/host_device.h"
#include "dpll/ops/common.h"
#include "dpll/ops/optimiser_kind.h"

namespace dpll {

inline constexpr float kFirstLossScale = 65536, kLeastLossScale = 1.0F / 16384, kMostLossScale = 16777216;
inline constexpr std::uint32_t kLossScaleInterval = 2000;

struct SgdSpec {
  OptimiserKind kind = OptimiserKind::sgd;
  std::int64_t elements = 0;
  std::int64_t weights = 0;  // of them, the first ones
  double momentum = 0.9;
  double weight_decay = 1e-4;
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  // of adam and adamw
  double ema = 0;
  bool dynamic_loss_scale = false;
};

struct UpdateHealth {
  std::uint64_t nonfinite = 0;   // NaN or infinite gradient elements of this step
  std::uint64_t skipped = 0;     // steps skipped since the start
  std::uint32_t good_steps = 0;  // since the loss scale changed
  std::uint32_t halted = 0;      // 1: no step changes anything any more
  std::uint64_t updates = 0;     // steps that were not skipped
};

// How a step of adam corrects its moments, which begin at zero. Shared by the backends.
struct AdamCorrection {
  double first = 1, second_root = 1;  // 1 - beta1^t, sqrt(1 - beta2^t)
};
DPLL_HD AdamCorrection adam_correction(const SgdSpec& spec, std::uint64_t updates) {
  if (spec.kind == OptimiserKind::sgd) return {};
  const auto t = static_cast<double>(updates);
  return {1 - pow(spec.beta1, t), sqrt(1 - pow(spec.beta2, t))};
}

struct SgdCall {
  Tensor value = {};               // master [elements]
  Tensor velocity = {};            // master [elements]
  Tensor square = {};              // master [elements], with adam and adamw
  Tensor average = {};             // master [elements], with spec.ema > 0
  Tensor weight = {};              // weight [weights]; undefined where the weight type is the master type
  Tensor average_weight = {};      // weight [weights]; undefined where nobody computes with the average
  UpdateHealth* health = nullptr;  // backend memory
  StepState* step = nullptr;       // learning_rate is read, loss_scale is read and, if dynamic, changed
  Tensor d_weight = {};            // weight [weights]
  Tensor d_value = {};             // master [elements - weights]: of the other parameters
};

class Sgd {
 public:
  virtual ~Sgd() = default;
  virtual void run(const SgdCall& call) = 0;
};

// Decides what `nonfinite` NaN or infinite gradient elements mean for this step and later ones: changes
// health and *loss_scale. True: the step updates. Shared by the backends.
DPLL_HD bool judge_gradients(UpdateHealth& health, float& loss_scale, bool dynamic, std::uint64_t nonfinite) {
  health.nonfinite = nonfinite;
  if (nonfinite == 0 && health.halted == 0) {
    health.good_steps += 1;
    health.updates += 1;
    if (dynamic && health.good_steps >= kLossScaleInterval) {
      health.good_steps = 0;
      if (loss_scale < kMostLossScale) loss_scale *= 2;
    }
    return true;
  }
  health.skipped += 1;
  health.good_steps = 0;
  if (dynamic && loss_scale > kLeastLossScale) {
    if (health.halted == 0) loss_scale /= 2;
  } else {
    health.halted = 1;
  }
  return false;
}

}  // namespace dpll
