// preact_conv's backward on the reference backend against central differences.
#include <algorithm>

#include "support/doctest.h"
#include "support/gradient_check.h"

using namespace dpll;
using namespace dpll::test;

namespace {

double multiplications(const PreactConvSpec& s) {
  return static_cast<double>(s.rows()) * s.out_height() * s.out_width() * s.out_channels * s.in_channels *
         (s.kernel * s.kernel + (s.projection ? 1 : 0));
}

void check_case(const PreactConvCase& c, std::uint64_t seed) {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  const Tensors inputs = preact_conv_inputs(c, seed);
  const Loss loss = [&](const Tensors& at) {
    const Tensors outputs = run_preact_conv(*backend, c, at, Passes::forward).outputs;
    double sum = inner_product(outputs.at("y"), inputs.at("d_y"));
    if (c.spec.projection) sum += inner_product(outputs.at("projected"), inputs.at("d_projected"));
    return sum;
  };
  const OpResult result = run_preact_conv(*backend, c, inputs, Passes::forward_and_backward);
  CHECK_MESSAGE(result.violations.empty(), c.name, ": ", result.violations);

  // Enough coordinates for small shapes to be checked nearly completely, few where a forward pass is long.
  const auto coordinates = static_cast<std::int64_t>(std::clamp(4e6 / multiplications(c.spec), 6.0, 150.0));
  std::vector<std::string> names = {"weight"};
  if (c.spec.input_gradient) names.emplace_back("x");
  if (c.spec.preact) names.insert(names.end(), {"bn.gamma", "bn.beta"});
  if (c.spec.bias) names.emplace_back("bias");
  if (c.spec.projection) names.emplace_back("projection_weight");
  for (const std::string& name : names) {
    HostTensor gradient = result.outputs.at("d_" + name);
    if (name == "x" && c.accumulate == Accumulate::yes) {
      for (std::int64_t i = 0; i < gradient.elements(); ++i) gradient[i] -= inputs.at("d_x")[i];
    }
    const std::string wrong =
        check_gradient("preact_conv " + c.name, seed, inputs, name, gradient, loss, coordinates);
    CHECK_MESSAGE(wrong.empty(), wrong);
  }
  if (c.spec.residual) {
    const std::string wrong = check_gradient("preact_conv " + c.name, seed, inputs, "residual",
                                             inputs.at("d_y"), loss, coordinates);
    CHECK_MESSAGE(wrong.empty(), wrong);
  }
}

}  // namespace

TEST_CASE("gradients of preact_conv are the derivatives of its forward pass") {
  for (const PreactConvCase& c : small_preact_conv_cases()) {
    if (c.spec.mode == Mode::train) check_case(c, 101);
  }
}
