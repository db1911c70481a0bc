// Shapes of preact_conv: one table for gradient checks, comparisons of backends and benchmarks.
#pragma once

#include <string>
#include <vector>

#include "dpll/ops/preact_conv.h"

namespace dpll::test {

struct PreactConvCase {
  std::string name;
  PreactConvSpec spec;
  Accumulate accumulate = Accumulate::no;
  bool shared = false;     // residual is y, d_projected is d_y, as the contract allows
  bool benchmark = false;  // a real layer at its real size: timed, not run by the tests
};

enum ConvOption : unsigned {
  kPlain = 0,
  kPreact = 1,
  kBias = 2,
  kProjection = 4,
  kResidual = 8,
  kStats = 16,
  kNoInputGradient = 32,
  kDropout = 64,  // of 0.3 at site 4095
  kEval = 128,
  kAccumulate = 256,
  kShared = 512,
  kBenchmark = 1024,
};

struct ConvShape {
  int views, batch, height, width, in, out, kernel, stride, pad;
};

inline PreactConvCase conv_case(const std::string& name, const ConvShape& shape, unsigned options) {
  const auto has = [&](ConvOption option) { return (options & option) != 0; };
  PreactConvCase c;
  c.name = name;
  c.spec = {.mode = has(kEval) ? Mode::eval : Mode::train,
            .views = shape.views,
            .batch = shape.batch,
            .height = shape.height,
            .width = shape.width,
            .in_channels = shape.in,
            .out_channels = shape.out,
            .kernel = shape.kernel,
            .stride = shape.stride,
            .pad = shape.pad,
            .preact = has(kPreact),
            .dropout = has(kDropout) ? 0.3 : 0.0,
            .dropout_site = has(kDropout) ? 4095u : 0u,
            .bias = has(kBias),
            .projection = has(kProjection),
            .residual = has(kResidual),
            .stats = has(kStats),
            .input_gradient = !has(kNoInputGradient)};
  c.accumulate = has(kAccumulate) ? Accumulate::yes : Accumulate::no;
  c.shared = has(kShared);
  c.benchmark = has(kBenchmark);
  return c;
}

// Odd sizes, few channels, one image, every combination of options that a network or a mistake could meet.
inline std::vector<PreactConvCase> small_preact_conv_cases() {
  constexpr unsigned kAll = kPreact | kDropout | kBias | kProjection | kResidual | kStats | kAccumulate;
  constexpr unsigned kLeNet = kBias | kStats;
  return {
      // name, {views, batch, height, width, in, out, kernel, stride, pad}, options
      conv_case("single_value", {1, 1, 1, 1, 1, 1, 1, 1, 0}, kPreact),
      conv_case("single_pixel_k3", {2, 3, 1, 1, 5, 2, 3, 1, 1}, kPreact),
      conv_case("single_pixel_b1_is_constant", {3, 1, 1, 1, 2, 3, 3, 1, 1}, kPreact | kStats),
      conv_case("plain_k3", {1, 2, 5, 7, 3, 4, 3, 1, 1}, kPlain),
      conv_case("plain_k1_bias", {2, 1, 3, 3, 2, 3, 1, 1, 0}, kBias | kStats),
      conv_case("plain_projection", {2, 2, 5, 4, 3, 4, 3, 2, 1}, kProjection | kStats),
      conv_case("plain_no_input_gradient", {3, 2, 6, 5, 3, 16, 3, 1, 1}, kStats | kNoInputGradient),
      conv_case("k5_one_channel", {2, 2, 7, 6, 1, 20, 5, 1, 2}, kLeNet | kNoInputGradient),
      conv_case("k5_7_to_9", {2, 1, 5, 5, 7, 9, 5, 1, 2}, kPreact | kBias | kStats),
      conv_case("k5_larger_than_image", {1, 4, 2, 3, 3, 2, 5, 1, 2}, kPreact),
      conv_case("k5_stride2", {2, 2, 9, 8, 2, 3, 5, 2, 2}, kPreact | kStats),
      conv_case("k3_no_padding", {2, 2, 6, 5, 2, 3, 3, 1, 0}, kPreact | kStats),
      conv_case("preact_v3", {3, 2, 4, 4, 3, 5, 3, 1, 1}, kPreact | kStats),
      conv_case("preact_v4_b1", {4, 1, 3, 4, 2, 3, 3, 1, 1}, kPreact | kStats),
      conv_case("preact_no_input_gradient", {2, 2, 4, 3, 3, 2, 3, 1, 1}, kPreact | kNoInputGradient),
      conv_case("preact_bias_residual", {2, 2, 5, 3, 3, 3, 3, 1, 1}, kPreact | kBias | kResidual | kStats),
      conv_case("stride2_odd", {2, 2, 7, 5, 3, 4, 3, 2, 1}, kPreact | kStats),
      conv_case("stride2_even", {2, 1, 6, 8, 2, 5, 3, 2, 1}, kPreact | kStats),
      conv_case("stride2_k1", {2, 2, 5, 4, 3, 2, 1, 2, 0}, kPreact),
      // Shapes whose gradient of the weight oneDNN gets wrong.
      conv_case("stride2_k1_narrow_8", {2, 2, 8, 8, 4, 8, 1, 2, 0}, kStats | kAccumulate),
      conv_case("stride2_k1_narrow_16", {2, 1, 16, 16, 5, 10, 1, 2, 0}, kStats),
      conv_case("projection", {2, 2, 4, 5, 3, 6, 3, 1, 1}, kPreact | kProjection | kStats),
      conv_case("projection_stride2_odd", {3, 2, 7, 7, 4, 6, 3, 2, 1}, kPreact | kProjection | kStats),
      conv_case("projection_shared", {2, 2, 5, 4, 3, 4, 3, 2, 1}, kPreact | kProjection | kStats | kShared),
      conv_case("residual_in_place", {2, 2, 4, 5, 6, 4, 3, 1, 1}, kPreact | kResidual | kStats | kShared),
      conv_case("plain_residual", {2, 2, 4, 5, 2, 3, 3, 1, 1}, kResidual | kStats),
      conv_case("accumulate", {3, 2, 4, 4, 4, 4, 3, 1, 1}, kPreact | kStats | kAccumulate),
      conv_case("accumulate_plain", {1, 2, 5, 5, 2, 3, 3, 1, 1}, kAccumulate),
      conv_case("accumulate_projection", {2, 2, 5, 6, 3, 5, 3, 2, 1}, kPreact | kProjection | kAccumulate),
      conv_case("dropout", {3, 2, 4, 5, 3, 4, 3, 1, 1}, kPreact | kDropout | kStats),
      conv_case("everything", {2, 3, 5, 3, 5, 5, 3, 1, 1}, kAll),
      conv_case("everything_shared_stride2", {3, 2, 5, 6, 3, 7, 3, 2, 1}, kAll | kShared),
      conv_case("channels_17_to_31", {2, 2, 5, 6, 17, 31, 3, 1, 1}, kPreact | kProjection | kStats),
      conv_case("channels_16_to_32", {3, 2, 8, 8, 16, 32, 3, 2, 1}, kPreact | kProjection | kStats),
      conv_case("identity_block_32", {3, 2, 8, 8, 32, 32, 3, 1, 1},
                kPreact | kResidual | kStats | kAccumulate),
      conv_case("lenet_conv1_28", {2, 1, 28, 28, 1, 20, 5, 1, 2}, kLeNet | kNoInputGradient),
      conv_case("wrn_stem_32", {1, 2, 32, 32, 3, 16, 3, 1, 1}, kStats | kNoInputGradient),
      conv_case("preact_28", {2, 1, 28, 28, 4, 3, 3, 1, 1}, kPreact | kStats),
      conv_case("eval", {1, 3, 5, 4, 3, 4, 3, 1, 1}, kEval | kPreact | kBias | kResidual),
      conv_case("eval_projection_stride2", {1, 2, 7, 6, 5, 8, 3, 2, 1}, kEval | kPreact | kProjection),
      conv_case("eval_does_not_drop", {1, 2, 4, 4, 3, 2, 3, 1, 1}, kEval | kPreact | kDropout),
      conv_case("eval_plain_views", {2, 2, 4, 6, 1, 3, 3, 1, 1}, kEval),
  };
}

// For the CPU: channels that fill no vector and those that do, batches that no chunk divides, strides that
// leave a row over.
inline std::vector<PreactConvCase> chunked_preact_conv_cases() {
  return {
      conv_case("stem in chunks", {3, 5, 9, 8, 3, 16, 3, 1, 1}, kStats | kNoInputGradient),
      conv_case("LeNet in chunks", {2, 3, 14, 13, 20, 50, 5, 1, 2}, kBias | kStats | kAccumulate),
      conv_case("block in chunks", {3, 14, 16, 16, 32, 48, 3, 1, 1},
                kPreact | kResidual | kStats | kAccumulate),
      conv_case("many channels", {1, 2, 3, 2, 1030, 7, 3, 1, 1}, kPreact | kStats),
      conv_case("down in chunks", {2, 6, 9, 7, 17, 33, 3, 2, 1}, kPreact | kProjection | kStats),
      conv_case("down by whole vectors", {2, 6, 9, 7, 32, 48, 3, 2, 1},
                kPreact | kProjection | kStats | kShared | kAccumulate),
      conv_case("whole vectors, projection, dropout", {2, 3, 6, 5, 16, 32, 3, 1, 1},
                kPreact | kDropout | kProjection),
      conv_case("whole vectors, nothing before", {1, 3, 7, 6, 16, 16, 3, 2, 1}, kProjection | kAccumulate),
      conv_case("everything in chunks", {2, 7, 5, 6, 3, 19, 3, 2, 1},
                kPreact | kDropout | kBias | kProjection | kResidual | kStats | kShared | kAccumulate),
      conv_case("evaluation in chunks", {1, 10, 7, 6, 12, 20, 3, 1, 1},
                kEval | kPreact | kDropout | kBias | kProjection | kResidual | kShared),
  };
}

// The layers of the networks at 64 samples x 3 views. WRN-16-2 has the layers of WRN-28-2, fewer of each.
// Padded: as a GPU computes them in 16 bits, see Backend::padded_channels().
inline std::vector<PreactConvCase> benchmark_preact_conv_cases() {
  constexpr unsigned kFirst = kPreact | kProjection | kStats | kBenchmark;
  constexpr unsigned kInner = kPreact | kResidual | kStats | kBenchmark;
  constexpr unsigned kLeNet = kBias | kStats | kBenchmark;
  return {
      conv_case("WRN stem", {3, 64, 32, 32, 3, 16, 3, 1, 1}, kStats | kNoInputGradient | kBenchmark),
      conv_case("WRN-28-2 group 1 first", {3, 64, 32, 32, 16, 32, 3, 1, 1}, kFirst),
      conv_case("WRN-28-2 group 1", {3, 64, 32, 32, 32, 32, 3, 1, 1}, kInner),
      conv_case("WRN-28-2 group 2 first", {3, 64, 32, 32, 32, 64, 3, 2, 1}, kFirst),
      conv_case("WRN-28-2 group 2", {3, 64, 16, 16, 64, 64, 3, 1, 1}, kInner),
      conv_case("WRN-28-2 group 3 first", {3, 64, 16, 16, 64, 128, 3, 2, 1}, kFirst),
      conv_case("WRN-28-2 group 3", {3, 64, 8, 8, 128, 128, 3, 1, 1}, kInner),
      conv_case("WRN-34-10 group 1 first", {3, 64, 32, 32, 16, 160, 3, 1, 1}, kFirst),
      conv_case("WRN-34-10 group 1", {3, 64, 32, 32, 160, 160, 3, 1, 1}, kInner),
      conv_case("WRN-34-10 group 2 first", {3, 64, 32, 32, 160, 320, 3, 2, 1}, kFirst),
      conv_case("WRN-34-10 group 2", {3, 64, 16, 16, 320, 320, 3, 1, 1}, kInner),
      conv_case("WRN-34-10 group 3 first", {3, 64, 16, 16, 320, 640, 3, 2, 1}, kFirst),
      conv_case("WRN-34-10 group 3", {3, 64, 8, 8, 640, 640, 3, 1, 1}, kInner),
      conv_case("LeNet conv1", {3, 64, 28, 28, 1, 20, 5, 1, 2}, kLeNet | kNoInputGradient),
      conv_case("LeNet conv2", {3, 64, 14, 14, 20, 50, 5, 1, 2}, kLeNet),
      conv_case("LeNet conv1 padded", {3, 64, 28, 28, 8, 24, 5, 1, 2}, kLeNet | kNoInputGradient),
      conv_case("LeNet conv2 padded", {3, 64, 14, 14, 24, 56, 5, 1, 2}, kLeNet),
  };
}

}  // namespace dpll::test
