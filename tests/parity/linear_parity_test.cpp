// linear on the CPU against the reference backend.
#include <cmath>

#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("linear: the backends agree with the reference") {
  constexpr double kX = 2;  // root mean square of x
  for (const LinearCase& c : small_linear_cases()) {
    const LinearSpec& s = c.spec;
    const double weight = 1 / std::sqrt(s.in_features);
    Tolerances t;
    t["y"] = rounding_of_sum(s.in_features, kX * weight);
    // The mean of y, and the variance: its change is the mean of 2 |y - mean| times y's,
    // and y's standard deviation is at most 4 here.
    t["y_stats"] = {8 * t["y"].relative, 8 * t["y"].absolute};
    t["d_x"] = rounding_of_sum(s.out_features, weight);
    t["d_weight"] = rounding_of_sum(s.rows(), kX);
    t["d_bias"] = rounding_of_sum(s.rows(), 1);
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
