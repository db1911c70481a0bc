// Shapes of linear: one table for gradient checks, comparisons of backends and benchmarks.
#pragma once

#include <vector>

#include "dpll/ops/linear.h"

namespace dpll::test {

struct LinearCase {
  const char* name;
  LinearSpec spec;
  bool benchmark = false;  // a real layer at its real size: timed, not run by the tests
};

inline std::vector<LinearCase> small_linear_cases() {
  constexpr Mode kTrain = Mode::train, kEval = Mode::eval;
  return {
      // name, {mode, views, batch, in_features, out_features, stats, input_gradient}
      {"single_value", {kTrain, 1, 1, 1, 1, false, true}},
      {"one_feature_out", {kTrain, 2, 3, 5, 1, true, true}},
      {"one_feature_in", {kTrain, 2, 2, 1, 3, false, true}},
      {"b1_v3_stats", {kTrain, 3, 1, 4, 6, true, true}},
      {"odd_7_to_13", {kTrain, 3, 5, 7, 13, true, true}},
      {"no_input_gradient", {kTrain, 2, 3, 9, 4, false, false}},
      {"classes_2", {kTrain, 4, 2, 16, 2, false, true}},
      {"classes_10", {kTrain, 3, 4, 33, 10, false, true}},
      {"classes_65", {kTrain, 2, 3, 31, 65, false, true}},
      {"classes_1000", {kTrain, 1, 2, 17, 1000, false, true}},
      {"lenet_hidden_few_rows", {kTrain, 2, 2, 2450, 50, true, true}},
      {"eval", {kEval, 1, 5, 12, 10, false, true}},
  };
}

// As long_bn_relu_pool_cases(), for statistics and column sums.
inline std::vector<LinearCase> long_linear_cases() {
  return {{"rows_in_many_blocks", {Mode::train, 2, 130, 3, 640, true, true}},
          {"rows_in_chunks", {Mode::train, 2, 67, 98, 50, true, true}},
          {"wide_no_input_gradient", {Mode::train, 1, 33, 640, 100, false, false}}};
}

// The layers of the networks at 64 samples x 3 views.
inline std::vector<LinearCase> benchmark_linear_cases() {
  const auto layer = [](int in, int out, bool stats) {
    return LinearSpec{Mode::train, 3, 64, in, out, stats, true};
  };
  return {
      {"WRN-28-2 and WRN-16-2 fc 128-10", layer(128, 10, false), true},
      {"WRN-34-10 fc 640-10", layer(640, 10, false), true},
      {"WRN-34-10 fc 640-100", layer(640, 100, false), true},
      {"LeNet hidden 2450-500", layer(2450, 500, true), true},
      {"LeNet padded 2744-504", layer(2744, 504, true), true},
      {"LeNet last 500-10", layer(500, 10, false), true},
  };
}

}  // namespace dpll::test
