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
      // The library divides products among the threads by their shape and number.
      check_cpu_parity(fmt::format("linear {}", c.name), seed, {"y", "y_stats", "d_x", "d_weight", "d_bias"},
                       run, t);
      check_cuda_parity(fmt::format("linear {}", c.name), seed, run, t);
    }
  }
}

TEST_CASE("linear: the CUDA backend agrees with the reference in 16 bits") {
  for (const LinearCase& c : small_linear_cases()) {
    check_cuda_parity_in_16_bits(
        {fmt::format("linear {}", c.name), 703, [&](DType type) { return linear_inputs(c, 703, type); },
         [&](Backend& backend, const Tensors& inputs) {
           return with_own_statistics(run_linear(backend, c, inputs, Passes::forward_and_backward),
                                      c.spec.views);
         },
         [&](DType type, const Tensors& inputs, const Tensors& want) {
           return linear_tolerances_in_16_bits(c, type, inputs, want);
         }});
  }
}
