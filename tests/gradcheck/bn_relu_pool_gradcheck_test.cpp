// bn_relu_pool's backward on the reference backend against central differences.
#include <algorithm>
#include <vector>

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
  std::vector<const char*> names = {"x"};
  if (c.spec.batch_norm) names.insert(names.end(), {"bn.gamma", "bn.beta"});
  if (c.spec.shortcut != Shortcut::none) names.push_back("shortcut");
  if (c.spec.shortcut == Shortcut::normalised) {
    names.insert(names.end(), {"shortcut_bn.gamma", "shortcut_bn.beta"});
  }
  for (const char* name : names) {
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
