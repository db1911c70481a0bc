// Shapes of bn_relu_pool: one table for gradient checks, comparisons of backends and benchmarks.
#pragma once

#include <vector>

#include "dpll/ops/bn_relu_pool.h"

namespace dpll::test {

struct BnReluPoolCase {
  const char* name;
  BnReluPoolSpec spec;
  bool benchmark = false;  // a real layer at its real size: timed, not run by the tests
  bool shared = false;     // d_shortcut lies in d_y
};

// `spec` with a shortcut; a subsampled one of half the channels, and of an odd height.
inline BnReluPoolSpec joined(BnReluPoolSpec spec, Shortcut shortcut) {
  spec.shortcut = shortcut;
  if (shortcut == Shortcut::subsampled) {
    spec.shortcut_height = 2 * spec.height - 1;
    spec.shortcut_width = 2 * spec.width;
    spec.shortcut_channels = (spec.channels + 1) / 2;
  }
  return spec;
}
inline BnReluPoolSpec relu_alone(BnReluPoolSpec spec) {
  spec.batch_norm = false;
  return spec;
}
inline BnReluPoolSpec average_alone(BnReluPoolSpec spec) {
  spec.batch_norm = spec.relu = false;
  spec.pool = Pool::global_average;
  return spec;
}

inline std::vector<BnReluPoolCase> small_bn_relu_pool_cases() {
  constexpr Mode kTrain = Mode::train, kEval = Mode::eval;
  return {
      // name, {mode, views, batch, height, width, channels, pool}
      {"single_value", {kTrain, 1, 1, 1, 1, 1, Pool::none}},
      {"features_b1_is_constant", {kTrain, 3, 1, 1, 1, 5, Pool::none}},
      {"features_b2", {kTrain, 2, 2, 1, 1, 3, Pool::none}},
      {"features_b7", {kTrain, 3, 7, 1, 1, 17, Pool::none}},
      {"none_5x3", {kTrain, 2, 2, 5, 3, 4, Pool::none}},
      {"none_v4_b1", {kTrain, 4, 1, 3, 4, 1, Pool::none}},
      {"max_2x2", {kTrain, 2, 3, 2, 2, 2, Pool::max2}},
      {"max_even", {kTrain, 3, 2, 6, 4, 3, Pool::max2}},
      {"max_odd_dropped", {kTrain, 2, 2, 7, 5, 5, Pool::max2}},
      {"max_one_row_left", {kTrain, 1, 2, 3, 8, 9, Pool::max2}},
      {"max_28_like_lenet", {kTrain, 2, 1, 28, 28, 20, Pool::max2}},
      {"average_1x1", {kTrain, 2, 4, 1, 1, 3, Pool::global_average}},
      {"average_odd", {kTrain, 3, 2, 5, 3, 7, Pool::global_average}},
      {"average_8x8", {kTrain, 3, 2, 8, 8, 33, Pool::global_average}},
      {"eval_none", {kEval, 1, 3, 3, 2, 5, Pool::none}},
      {"eval_max_odd", {kEval, 1, 2, 5, 7, 4, Pool::max2}},
      {"eval_average_views", {kEval, 2, 2, 4, 4, 3, Pool::global_average}},
      {"join_identity", joined({kTrain, 3, 2, 5, 3, 4}, Shortcut::identity)},
      {"join_identity_in_place", joined({kTrain, 2, 3, 4, 2, 16}, Shortcut::identity), false, true},
      {"join_normalised", joined({kTrain, 3, 2, 3, 4, 5}, Shortcut::normalised)},
      {"join_normalised_in_place", joined({kTrain, 2, 2, 4, 4, 16}, Shortcut::normalised), false, true},
      {"join_subsampled", joined({kTrain, 2, 2, 4, 3, 8}, Shortcut::subsampled)},
      {"join_subsampled_odd_channels", joined({kTrain, 3, 1, 3, 3, 7}, Shortcut::subsampled)},
      {"eval_join_identity", joined({kEval, 1, 3, 3, 2, 5}, Shortcut::identity)},
      {"eval_join_normalised", joined({kEval, 1, 3, 3, 2, 8}, Shortcut::normalised)},
      {"eval_join_subsampled", joined({kEval, 2, 1, 2, 3, 6}, Shortcut::subsampled)},
      {"relu_alone", relu_alone({kTrain, 3, 4, 1, 1, 7})},
      {"eval_relu_alone", relu_alone({kEval, 1, 3, 2, 2, 3})},
      {"average_alone", average_alone({kTrain, 2, 3, 4, 3, 5})},
      {"eval_average_alone", average_alone({kEval, 1, 3, 3, 3, 8})},
  };
}

// Rows in more blocks than a kernel's merge has strips: 640 channels are 160 threads side by side, so a block
// takes 16 rows. Too many numbers for gradient checks.
inline std::vector<BnReluPoolCase> long_bn_relu_pool_cases() {
  return {{"rows_in_many_blocks", {Mode::train, 2, 130, 1, 1, 640, Pool::none}},
          {"join_rows_in_many_blocks",
           joined({Mode::train, 2, 130, 1, 1, 640, Pool::none}, Shortcut::normalised)}};
}

// The layers of the networks at 64 samples x 3 views.
inline std::vector<BnReluPoolCase> benchmark_bn_relu_pool_cases() {
  const auto layer = [](int side, int channels, Pool pool) {
    return BnReluPoolSpec{Mode::train, 3, 64, side, side, channels, pool};
  };
  return {
      {"WRN-28-2 and WRN-16-2 tail 8x8x128", layer(8, 128, Pool::global_average), true},
      {"WRN-34-10 tail 8x8x640", layer(8, 640, Pool::global_average), true},
      {"LeNet pool1 28x28x20", layer(28, 20, Pool::max2), true},
      {"LeNet pool2 14x14x50", layer(14, 50, Pool::max2), true},
      {"LeNet pool1 padded", layer(28, 24, Pool::max2), true},
      {"LeNet pool2 padded", layer(14, 56, Pool::max2), true},
      {"LeNet hidden 500", layer(1, 500, Pool::none), true},
      {"ResNet-32 join 32x32x16", joined(layer(32, 16, Pool::none), Shortcut::identity), true, true},
      {"ResNet-18 projection 16x16x128", joined(layer(16, 128, Pool::none), Shortcut::normalised), true,
       true},
  };
}

}  // namespace dpll::test
