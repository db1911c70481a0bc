// linear on the CPU against the reference backend.
#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("linear: the backends agree with the reference") {
  std::vector<LinearCase> cases = small_linear_cases();
  for (const LinearCase& c : long_linear_cases()) cases.push_back(c);
  for (const LinearCase& c : cases) {
    const Tolerances t = linear_tolerances(c);
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

namespace {

// y is stored twice: the product, and with its bias.
Tolerances tolerances_in_16_bits(const LinearCase& c, DType type, const Tensors& inputs,
                                 const Tensors& want) {
  const LinearSpec& s = c.spec;
  const double u = stored_in(type).relative;
  const double of_y = u * (2 * largest(want.at("y")) + largest(inputs.at("bias")));
  Tolerances t = linear_tolerances(c);
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

TEST_CASE("linear: the CUDA backend agrees with the reference in 16 bits") {
  for (const LinearCase& c : small_linear_cases()) {
    check_cuda_parity_in_16_bits(
        {fmt::format("linear {}", c.name), 703, [&](DType type) { return linear_inputs(c, 703, type); },
         [&](Backend& backend, const Tensors& inputs) {
           const OpResult result = run_linear(backend, c, inputs, Passes::forward_and_backward);
           return c.spec.stats ? with_own_statistics(result, c.spec.views) : result;
         },
         [&](DType type, const Tensors& inputs, const Tensors& want) {
           return tolerances_in_16_bits(c, type, inputs, want);
         }});
  }
}
