// sgd on the CPU against the reference backend: a handful of roundings of values of order 1.
#include <cmath>

#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

namespace {

void check_case(const SgdCase& c, const Tensors& inputs, std::uint64_t seed) {
  const Tolerances t = sgd_tolerances();
  const auto run = [&](Backend& backend) { return run_sgd(backend, c, inputs); };
  check_cpu_parity(fmt::format("sgd {}", c.name), seed, Threads::one_result, run, t);
  check_cuda_parity(fmt::format("sgd {}", c.name), seed, run, t);
}

}  // namespace

TEST_CASE("sgd: the backends agree with the reference") {
  for (const SgdCase& c : small_sgd_cases()) check_case(c, sgd_inputs(c, 1001), 1001);
}

TEST_CASE("sgd: the backends skip broken gradients as the reference does") {
  const SgdCase c{"broken", {.elements = 70001, .ema = 0.9}};
  for (const std::int64_t i : {std::int64_t{0}, std::int64_t{40000}, std::int64_t{70000}}) {
    for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      Tensors inputs = sgd_inputs(c, 1002);
      inputs["d_value"][i] = value;
      inputs["d_value"][1] = value;
      check_case(c, inputs, 1002);
    }
  }
}
