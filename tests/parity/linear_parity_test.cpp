// linear on the CPU against the reference backend.
#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("linear: the backends agree with the reference") {
  for (const LinearCase& c : small_linear_cases()) {
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
