// augment on the CPU against the reference backend, whose views are made by whole-image steps.
#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("augment: the backends agree with the reference") {
  for (const AugmentCase& c : small_augment_cases()) {
    for (const std::uint64_t seed : {1101, 1102}) {
      const Tensors inputs = augment_inputs(c, seed);
      const auto run = [&](Backend& backend) { return run_augment(backend, c, inputs); };
      const Tolerances t = augment_tolerances();
      check_cpu_parity(fmt::format("augment {}", c.name), seed, {}, run, t);
      check_cuda_parity(fmt::format("augment {}", c.name), seed, run, t);
    }
  }
}

TEST_CASE("augment: the CUDA backend agrees with the reference in 16 bits") {
  for (const AugmentCase& c : small_augment_cases()) {
    check_cuda_parity_in_16_bits(
        {fmt::format("augment {}", c.name), 1103, [&](DType) { return augment_inputs(c, 1103); },
         [&](Backend& backend, const Tensors& inputs) { return run_augment(backend, c, inputs); },
         [&](DType type, const Tensors&, const Tensors&) { return augment_tolerances(type); }});
  }
}
