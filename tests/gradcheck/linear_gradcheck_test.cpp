// linear's backward on the reference backend against central differences.
#include "support/doctest.h"
#include "support/gradient_check.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("gradients of linear are the derivatives of its forward pass") {
  constexpr std::uint64_t kSeed = 301;
  const std::unique_ptr<Backend> backend = make_reference_backend();
  for (const LinearCase& c : small_linear_cases()) {
    if (c.spec.mode != Mode::train) continue;
    const Tensors inputs = linear_inputs(c, kSeed);
    const Loss loss = [&](const Tensors& at) {
      return inner_product(run_linear(*backend, c, at, Passes::forward).outputs.at("y"), inputs.at("d_y"));
    };
    const OpResult result = run_linear(*backend, c, inputs, Passes::forward_and_backward);
    CHECK_MESSAGE(result.violations.empty(), c.name, ": ", result.violations);
    CHECK(result.outputs.count("d_x") == (c.spec.input_gradient ? 1 : 0));
    for (const char* name : {"x", "weight", "bias"}) {
      if (std::string(name) == "x" && !c.spec.input_gradient) continue;
      const std::string wrong = check_gradient(fmt::format("linear {}", c.name), kSeed, inputs, name,
                                               result.outputs.at(fmt::format("d_{}", name)), loss, 60);
      CHECK_MESSAGE(wrong.empty(), wrong);
    }
  }
}
