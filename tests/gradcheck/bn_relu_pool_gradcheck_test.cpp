// bn_relu_pool's backward on the reference backend against central differences.
#include <algorithm>

#include "support/doctest.h"
#include "support/gradient_check.h"

using namespace dpll;
using namespace dpll::test;

namespace {

void check_case(const BnReluPoolCase& c, std::uint64_t seed) {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  const Tensors inputs = bn_relu_pool_inputs(c, seed);
  const Loss loss = [&](const Tensors& at) {
    return inner_product(run_bn_relu_pool(*backend, c, at, Passes::forward).outputs.at("y"),
                         inputs.at("d_y"));
  };
  const OpResult result = run_bn_relu_pool(*backend, c, inputs, Passes::forward_and_backward);
  CHECK_MESSAGE(result.violations.empty(), c.name, ": ", result.violations);
  for (const char* name : {"x", "bn.gamma", "bn.beta"}) {
    const std::string wrong = check_gradient(fmt::format("bn_relu_pool {}", c.name), seed, inputs, name,
                                             result.outputs.at(fmt::format("d_{}", name)), loss, 150);
    CHECK_MESSAGE(wrong.empty(), wrong);
  }
}

}  // namespace

TEST_CASE("gradients of bn_relu_pool are the derivatives of its forward pass") {
  for (const BnReluPoolCase& c : small_bn_relu_pool_cases()) {
    if (c.spec.mode == Mode::train) check_case(c, 201);
  }
}
