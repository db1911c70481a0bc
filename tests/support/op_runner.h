// Runs one operation of any backend on given numbers: allocates guarded tensors of the backend's types,
// fills the inputs, calls forward and backward, and returns every output as doubles. Gradient checks
// (reference backend) and comparisons of backends share it, so both see the same calls.
#pragma once

#include <map>
#include <string>

#include "dpll/backend.h"
#include "ops/augment_cases.h"
#include "ops/bn_relu_pool_cases.h"
#include "ops/feature_views_cases.h"
#include "ops/linear_cases.h"
#include "ops/pll_objective_cases.h"
#include "ops/preact_conv_cases.h"
#include "ops/sgd_cases.h"
#include "support/compare.h"

namespace dpll::test {

// By the field names of the op's calls: "x", "d_weight", "bn.gamma". Convolution weights are always OIHW
// here.
using Tensors = std::map<std::string, HostTensor>;

struct OpResult {
  Tensors outputs;
  std::string violations;  // of GuardedMemory::check()
};

enum class Passes { forward, forward_and_backward };  // backward only where the case is in Mode::train

// Inputs, cotangents d_y, …, the running statistics before, and d_x before where it is accumulated to. Each
// view has statistics of its own, and no pre-activation lies near the kink of ReLU: see beta_away_from_kinks.
// What a backend that computes in `type` holds in that type (activations, their gradients, weights) is
// rounded to it, before statistics and beta are chosen: every backend sees the same numbers.
Tensors preact_conv_inputs(const PreactConvCase& c, std::uint64_t seed, DType type = DType::f32);
Tensors bn_relu_pool_inputs(const BnReluPoolCase& c, std::uint64_t seed, DType type = DType::f32);
Tensors linear_inputs(const LinearCase& c, std::uint64_t seed, DType type = DType::f32);

// x_stats is computed here from inputs.at("x"), so that a perturbed x brings its own statistics.
OpResult run_preact_conv(Backend& backend, const PreactConvCase& c, const Tensors& inputs, Passes passes);
OpResult run_bn_relu_pool(Backend& backend, const BnReluPoolCase& c, const Tensors& inputs, Passes passes);
OpResult run_linear(Backend& backend, const LinearCase& c, const Tensors& inputs, Passes passes);

// The operations without a backward pass of their own. All tables have batch + 5 samples and the batch begins
// at position 2 of the order, which is a permutation ("order" [N] is missing where the case has none).
//   pll_objective  logits, targets [N, classes], candidates [N, classes] of 0 and 1, labels [N] (may be
//                  missing), total [kObjectiveMetricsFields] before
//               -> d_logits, targets, last, total
//   cross_entropy  logits, labels, sums [3] before -> sums, predictions, confidences
//   sgd            value, velocity, average, d_value -> value, velocity, average, health [6]: the fields of
//                  UpdateHealth and the loss scale; with 16-bit weights also weight
//   augment        pixels -> images
//   feature_views  features -> views
Tensors pll_objective_inputs(const PllObjectiveCase& c, std::uint64_t seed, DType type = DType::f32);
Tensors sgd_inputs(const SgdCase& c, std::uint64_t seed, DType type = DType::f32);
Tensors augment_inputs(const AugmentCase& c, std::uint64_t seed);
Tensors feature_views_inputs(const FeatureViewsCase& c, std::uint64_t seed);
// The same call, so many times.
OpResult run_pll_objective(Backend& backend, const PllObjectiveCase& c, const Tensors& inputs, int times = 1);
OpResult run_cross_entropy(Backend& backend, const Tensors& inputs);
OpResult run_sgd(Backend& backend, const SgdCase& c, const Tensors& inputs);
OpResult run_augment(Backend& backend, const AugmentCase& c, const Tensors& inputs);
OpResult run_feature_views(Backend& backend, const FeatureViewsCase& c, const Tensors& inputs);

// The values as a tensor of `type` holds them.
HostTensor rounded(DType type, const HostTensor& values);

// The step that all runs are given; run_sgd's learning rate is 0.05.
StepState test_step(float lambda = 1, float loss_scale = 1);

// bn(x) + shortcut of a join, in float64.
HostTensor pre_activation(const BnReluPoolSpec& spec, const Tensors& inputs);

// Mean and biased variance [V, 2, C] of x [V * B, ..., C].
HostTensor view_stats(const HostTensor& x, int views);

// For every channel a beta that puts 0 into the middle of the widest gap between the values of gamma * x_hat
// (in their middle half, so that both sides of the kink occur). `stats` are those that x is normalised with.
HostTensor beta_away_from_kinks(const HostTensor& x, const HostTensor& stats, const HostTensor& gamma,
                                int views);

}  // namespace dpll::test
