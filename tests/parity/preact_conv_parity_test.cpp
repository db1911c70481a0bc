// preact_conv on the CPU against the reference backend.
#include "support/doctest.h"
#include "support/parity.h"
#include "support/preact_conv_tolerances.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("preact_conv: the backends agree with the reference") {
  constexpr std::uint64_t kSeed = 501;
  const auto check = [&](const PreactConvCase& c, bool on_cuda) {
    const Tensors inputs = preact_conv_inputs(c, kSeed);
    const auto run = [&](Backend& backend) {
      return run_preact_conv(backend, c, inputs, Passes::forward_and_backward);
    };
    const Tolerances tolerances = preact_conv_tolerances(c, inputs, kEpsilon);
    // Each thread adds up the weights' gradients of its chunks.
    check_cpu_parity("preact_conv " + c.name, kSeed, {"d_weight", "d_projection_weight"}, run, tolerances);
    if (on_cuda) check_cuda_parity("preact_conv " + c.name, kSeed, run, tolerances);
  };
  for (const PreactConvCase& c : small_preact_conv_cases()) check(c, true);
  for (const PreactConvCase& c : chunked_preact_conv_cases()) check(c, false);
}

TEST_CASE("preact_conv: the CUDA backend agrees with the reference in 16 bits") {
  constexpr std::uint64_t kSeed = 502;
  for (const PreactConvCase& c : small_preact_conv_cases()) {
    check_cuda_parity_in_16_bits(
        {"preact_conv " + c.name, kSeed, [&](DType type) { return preact_conv_inputs(c, kSeed, type); },
         [&](Backend& backend, const Tensors& inputs) {
           return with_own_statistics(run_preact_conv(backend, c, inputs, Passes::forward_and_backward),
                                      c.spec.views);
         },
         [&](DType type, const Tensors& inputs, const Tensors& want) {
           return preact_conv_tolerances_in_16_bits(c, type, inputs, want);
         }});
  }
}
