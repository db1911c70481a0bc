// linear on the CPU against the reference backend.
#include <cmath>

#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

namespace {

Tolerances tolerances(const LinearSpec& s) {
  constexpr double kX = 2;  // root mean square of x
  const double weight = 1 / std::sqrt(s.in_features);
  Tolerances t;
  t["y"] = rounding_of_sum(s.in_features, kX * weight);
  // The mean of y, and the variance: its change is the mean of 2 |y - mean| times y's,
  // and y's standard deviation is at most 4 here.
  t["y_stats"] = {8 * t["y"].relative, 8 * t["y"].absolute};
  t["d_x"] = rounding_of_sum(s.out_features, weight);
  t["d_weight"] = rounding_of_sum(s.rows(), kX);
  t["d_bias"] = rounding_of_sum(s.rows(), 1);
  return t;
}

// y is stored twice: the product, and with its bias.
Tolerances tolerances_in_16_bits(const LinearSpec& s, DType type, const Tensors& inputs,
                                 const Tensors& want) {
  const double u = stored_in(type).relative;
  const double of_y = u * (2 * largest(want.at("y")) + largest(inputs.at("bias")));
  Tolerances t = tolerances(s);
  t["y"] = t["y"] + Tolerance{0, of_y};
  if (s.stats) {
    t["y_stats"] = t["y_stats"] + of_statistics(want.at("y_stats"), of_y);
    t["y_stats, own"] = of_own_statistics(want);
  }
  t["d_x"] = t["d_x"] + stored_in(type);
  t["d_weight"] = t["d_weight"] + stored_in(type);
  return t;
}

}  // namespace

TEST_CASE("linear: the backends agree with the reference") {
  for (const LinearCase& c : small_linear_cases()) {
    const Tolerances t = tolerances(c.spec);
    for (const std::uint64_t seed : {701, 702}) {
      const Tensors inputs = linear_inputs(c, seed);
      const auto run = [&](Backend& backend) {
        return run_linear(backend, c, inputs, Passes::forward_and_backward);
      };
      check_cpu_parity(fmt::format("linear {}", c.name), seed, Threads::a_result_each, run, t);
      check_cuda_parity(fmt::format("linear {}", c.name), seed, run, t);
    }
  }
}

TEST_CASE("linear: the CUDA backend agrees with the reference in 16 bits") {
  for (const LinearCase& c : small_linear_cases()) {
    check_cuda_parity_in_16_bits(
        {fmt::format("linear {}", c.name), 703, [&](DType type) { return linear_inputs(c, 703, type); },
         [&](Backend& backend, const Tensors& inputs) {
           const OpResult result = run_linear(backend, c, inputs, Passes::forward_and_backward);
           return c.spec.stats ? with_own_statistics(result, c.spec.views) : result;
         },
         [&](DType type, const Tensors& inputs, const Tensors& want) {
           return tolerances_in_16_bits(c.spec, type, inputs, want);
         }});
  }
}
