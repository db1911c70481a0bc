// bn_relu_pool on the CPU against the reference backend.
#include <cmath>

#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

namespace {

Tolerances tolerances(const BnReluPoolCase& c, const Tensors& inputs) {
  const BnReluPoolSpec& s = c.spec;
  const double rows = double(s.rows()) * s.height * s.width;
  const Conditioning bn = conditioning_of(inputs, s.mode, s.views);
  constexpr double kDy = 4;  // of about the largest |d_y|
  Tolerances t;
  t["y"] = Tolerance{kSafety * kEpsilon, kSafety * kEpsilon * bn.value};
  t["d_x"] = {kSafety * kEpsilon, kSafety * kEpsilon * bn.gain * kDy * (1 + bn.offset)};
  t["d_bn.beta"] = rounding_of_sum(rows, 1);
  t["d_bn.gamma"] = t["d_bn.beta"] + Tolerance{0, std::sqrt(rows) * kSafety * kEpsilon * bn.offset};
  t["bn.running_mean"] = t["bn.running_var"] = {kSafety * kEpsilon, 0};
  return t;
}

}  // namespace

TEST_CASE("bn_relu_pool: the backends agree with the reference") {
  for (const BnReluPoolCase& c : small_bn_relu_pool_cases()) {
    for (const std::uint64_t seed : {601, 602}) {
      const Tensors inputs = bn_relu_pool_inputs(c, seed);
      const auto run = [&](Backend& backend) {
        return run_bn_relu_pool(backend, c, inputs, Passes::forward_and_backward);
      };
      check_cpu_parity(fmt::format("bn_relu_pool {}", c.name), seed, Threads::one_result, run,
                       tolerances(c, inputs));
      check_cuda_parity(fmt::format("bn_relu_pool {}", c.name), seed, run, tolerances(c, inputs));
    }
  }
}

// Everything between x, d_y and what is stored is float32.
TEST_CASE("bn_relu_pool: the CUDA backend agrees with the reference in 16 bits") {
  for (const BnReluPoolCase& c : small_bn_relu_pool_cases()) {
    check_cuda_parity_in_16_bits({fmt::format("bn_relu_pool {}", c.name), 603,
                                  [&](DType type) { return bn_relu_pool_inputs(c, 603, type); },
                                  [&](Backend& backend, const Tensors& inputs) {
                                    return run_bn_relu_pool(backend, c, inputs, Passes::forward_and_backward);
                                  },
                                  [&](DType type, const Tensors& inputs, const Tensors&) {
                                    Tolerances t = tolerances(c, inputs);
                                    t["y"] = t["y"] + stored_in(type);
                                    t["d_x"] = t["d_x"] + stored_in(type);
                                    return t;
                                  }});
  }
}
