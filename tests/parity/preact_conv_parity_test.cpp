// preact_conv on the CPU against the reference backend.
#include <cmath>

#include "support/doctest.h"
#include "support/parity.h"
#include "support/preact_conv_tolerances.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("preact_conv: the backends agree with the reference") {
  constexpr std::uint64_t kSeed = 501;
  for (const PreactConvCase& c : small_preact_conv_cases()) {
    const Tensors inputs = preact_conv_inputs(c, kSeed);
    const auto run = [&](Backend& backend) {
      return run_preact_conv(backend, c, inputs, Passes::forward_and_backward);
    };
    check_cpu_parity("preact_conv " + c.name, kSeed, Threads::a_result_each, run,
                     preact_conv_tolerances(c, inputs, kEpsilon));
    check_cuda_parity("preact_conv " + c.name, kSeed, run, preact_conv_tolerances(c, inputs, kEpsilon));
  }
}

namespace {

// What is stored in 16 bits on the way: a, the product and then y, d_a of convolution and projection.
Tolerances tolerances_in_16_bits(const PreactConvCase& c, DType type, const Tensors& inputs,
                                 const Tensors& want) {
  const PreactConvSpec& s = c.spec;
  const double u = stored_in(type).relative;
  const double rows_in = double(s.rows()) * s.height * s.width,
               rows_out = double(s.rows()) * s.out_height() * s.out_width();
  const double largest_of_y = largest(want.at("y"));
  const double added =
      (s.bias ? largest(inputs.at("bias")) : 0) + (s.residual ? largest(inputs.at("residual")) : 0);
  // Sums of roundings with random signs, of values of root mean square 1, by weights of length 1.
  const double of_a = s.preact ? kSafety * u : 0;
  const double of_y = of_a + u * (2 * largest_of_y + added);
  Tolerances t = preact_conv_tolerances(c, inputs, kEpsilon);
  t["y"] = t["y"] + Tolerance{0, of_y};
  t["projected"] = t["projected"] + stored_in(type) + Tolerance{0, of_a};
  if (s.stats) {
    t["y_stats"] = t["y_stats"] + of_statistics(want.at("y_stats"), of_y);
    t["y_stats, own"] = of_own_statistics(want);
  }
  if (s.mode == Mode::eval) return t;
  t["d_weight"] = t["d_weight"] + stored_in(type) + Tolerance{0, std::sqrt(rows_out) * of_a};
  t["d_projection_weight"] = t["d_weight"];
  const double d_activation = std::sqrt(double(s.out_channels) / s.in_channels) * (s.projection ? 2 : 1);
  const double of_d_a = kSafety * u * d_activation;
  const double gain = s.preact ? conditioning_of(inputs, s.mode, s.views).gain : 1;
  t["d_x"] = t["d_x"] + stored_in(type) + Tolerance{0, gain * of_d_a};
  t["d_bn.beta"] = t["d_bn.beta"] + Tolerance{0, std::sqrt(rows_in) * of_d_a};
  t["d_bn.gamma"] = t["d_bn.gamma"] + Tolerance{0, std::sqrt(rows_in) * of_d_a};
  return t;
}

}  // namespace

TEST_CASE("preact_conv: the CUDA backend agrees with the reference in 16 bits") {
  constexpr std::uint64_t kSeed = 502;
  for (const PreactConvCase& c : small_preact_conv_cases()) {
    check_cuda_parity_in_16_bits(
        {"preact_conv " + c.name, kSeed, [&](DType type) { return preact_conv_inputs(c, kSeed, type); },
         [&](Backend& backend, const Tensors& inputs) {
           const OpResult result = run_preact_conv(backend, c, inputs, Passes::forward_and_backward);
           return c.spec.stats ? with_own_statistics(result, c.spec.views) : result;
         },
         [&](DType type, const Tensors& inputs, const Tensors& want) {
           return tolerances_in_16_bits(c, type, inputs, want);
         }});
  }
}
