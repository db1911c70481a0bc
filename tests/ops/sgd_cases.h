// Sizes and rules of sgd: one table for comparisons of backends and benchmarks.
#pragma once

#include <vector>

#include "dpll/ops/sgd.h"

namespace dpll::test {

struct SgdCase {
  const char* name;
  SgdSpec spec;
  float loss_scale = 1;
  std::uint32_t good_steps = 5;  // before
  bool benchmark = false;        // a real size: timed, not run by the tests
};

inline std::vector<SgdCase> small_sgd_cases() {
  return {
      {"one", {.elements = 1}},
      {"plain", {.elements = 7, .momentum = 0, .weight_decay = 0}},
      {"momentum", {.elements = 16, .momentum = 0.9, .weight_decay = 0}},
      {"paper", {.elements = 1001}},
      {"nesterov", {.elements = 33, .nesterov = true}},
      {"ema", {.elements = 129, .ema = 0.99}},
      {"everything_scaled",
       {.elements = 4099, .momentum = 0.8, .weight_decay = 5e-2, .nesterov = true, .ema = 0.9},
       1024},
      {"more_than_a_block", {.elements = 100003, .ema = 0.5}, 2},
      {"weights", {.elements = 4099, .weights = 1024, .nesterov = true, .ema = 0.9}, 1024},
      {"weights_alone", {.elements = 100, .weights = 100}},
      {"weights_end_within_a_vector", {.elements = 531, .weights = 333, .ema = 0.9}, 8},
      {"scale_stays", {.elements = 65, .weights = 16, .dynamic_loss_scale = true}, 512, 1998},
      {"scale_grows", {.elements = 65, .weights = 16, .dynamic_loss_scale = true}, 512, 1999},
      {"adam_one", {.kind = OptimiserKind::adam, .elements = 1, .weight_decay = 0}},
      {"adam", {.kind = OptimiserKind::adam, .elements = 4099, .weights = 1024, .ema = 0.9}, 1024},
      {"adam_many", {.kind = OptimiserKind::adam, .elements = 100003, .beta1 = 0.5, .beta2 = 0.99}, 2},
      {"adamw", {.kind = OptimiserKind::adamw, .elements = 531, .weights = 333, .weight_decay = 0.05}, 8},
      {"adamw_scaled",
       {.kind = OptimiserKind::adamw,
        .elements = 65,
        .weights = 16,
        .epsilon = 1e-3,
        .dynamic_loss_scale = true},
       512,
       1999},
      {"scale_is_largest", {.elements = 65, .dynamic_loss_scale = true}, kMostLossScale, 1999},
  };
}

// Parameters of the networks at 10 classes.
inline std::vector<SgdCase> benchmark_sgd_cases() {
  return {
      {"WRN-16-2", {.elements = 691674, .weights = 688000}, 1, 5, true},
      {"WRN-28-2", {.elements = 1467610, .weights = 1460000}, 1, 5, true},
      {"WRN-34-10", {.elements = 46160474, .weights = 46120000}, 1, 5, true},
      {"LeNet, adam", {.kind = OptimiserKind::adam, .elements = 1257220, .weights = 1255500}, 1, 5, true},
      {"LeNet", {.elements = 1257220, .weights = 1255500}, 1, 5, true},
  };
}

}  // namespace dpll::test
