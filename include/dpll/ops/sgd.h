// sgd: one pass over all parameters, which lie in one flat array, as do their gradients and velocities.
//   g = d_value / loss_scale + weight_decay * value
//   velocity = momentum * velocity + g
//   value -= learning_rate * (nesterov ? g + momentum * velocity : velocity)
//   average = ema * average + (1 - ema) * value       with ema > 0
// PyTorch's SGD with dampening 0; weight decay falls on every parameter, batch norm and biases included, as
// published. If any gradient is NaN or infinite nothing is changed and the step counts as skipped.
#pragma once

#include <cstdint>

#include "dpll/ops/common.h"

namespace dpll {

struct SgdSpec {
  std::int64_t elements = 0;
  double momentum = 0.9;
  double weight_decay = 1e-4;
  bool nesterov = false;
  double ema = 0;
};

struct UpdateHealth {
  std::uint64_t nonfinite = 0;  // NaN or infinite gradient elements of this step
  std::uint64_t skipped = 0;    // steps skipped since the start
};

struct SgdCall {
  Tensor value = {};               // master [elements]
  Tensor velocity = {};            // master [elements]
  Tensor average = {};             // master [elements], with spec.ema > 0
  UpdateHealth* health = nullptr;  // backend memory
  Tensor d_value = {};             // master [elements]
  const StepState* step = nullptr;
};

class Sgd {
 public:
  virtual ~Sgd() = default;
  virtual void run(const SgdCall& call) = 0;
};

}  // namespace dpll
