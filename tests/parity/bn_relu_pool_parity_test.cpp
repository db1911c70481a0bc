// bn_relu_pool on the CPU against the reference backend.
#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("bn_relu_pool: the backends agree with the reference") {
  std::vector<BnReluPoolCase> cases = small_bn_relu_pool_cases();
  for (const BnReluPoolCase& c : long_bn_relu_pool_cases()) cases.push_back(c);
  for (const BnReluPoolCase& c : cases) {
    for (const std::uint64_t seed : {601, 602}) {
      const Tensors inputs = bn_relu_pool_inputs(c, seed);
      const auto run = [&](Backend& backend) {
        return run_bn_relu_pool(backend, c, inputs, Passes::forward_and_backward);
      };
      check_cpu_parity(fmt::format("bn_relu_pool {}", c.name), seed, {}, run,
                       bn_relu_pool_tolerances(c, inputs));
      check_cuda_parity(fmt::format("bn_relu_pool {}", c.name), seed, run,
                        bn_relu_pool_tolerances(c, inputs));
    }
  }
}

TEST_CASE("bn_relu_pool: the CUDA backend agrees with the reference in 16 bits") {
  for (const BnReluPoolCase& c : small_bn_relu_pool_cases()) {
    check_cuda_parity_in_16_bits({fmt::format("bn_relu_pool {}", c.name), 603,
                                  [&](DType type) { return bn_relu_pool_inputs(c, 603, type); },
                                  [&](Backend& backend, const Tensors& inputs) {
                                    return run_bn_relu_pool(backend, c, inputs, Passes::forward_and_backward);
                                  },
                                  [&](DType type, const Tensors& inputs, const Tensors&) {
                                    return bn_relu_pool_tolerances(c, inputs, type);
                                  }});
  }
}
