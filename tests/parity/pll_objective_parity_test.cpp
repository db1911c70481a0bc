// pll_objective and cross_entropy on the CPU against the reference backend. The CPU computes a sample in
// double and rounds what it stores, so float32's rounding appears once.
#include <cmath>

#include "support/doctest.h"
#include "support/parity.h"
#include "support/random.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("pll_objective: the backends agree with the reference") {
  for (const PllObjectiveCase& c : small_pll_objective_cases()) {
    for (const std::uint64_t seed : {801, 802, 803}) {
      const Tensors inputs = pll_objective_inputs(c, seed);
      const auto run = [&](Backend& backend) {
        return with_metric_fields(run_pll_objective(backend, c, inputs));
      };
      check_cpu_parity(fmt::format("pll_objective {}", c.name), seed, Threads::one_result, run,
                       pll_objective_tolerances(c, inputs));
      check_cuda_parity(fmt::format("pll_objective {}", c.name), seed, run,
                        pll_objective_tolerances(c, inputs));
    }
  }
}

TEST_CASE("pll_objective: the backends treat broken logits as the reference does") {
  const PllObjectiveCase c{"broken", {3, 8, 10, ObjectiveVariant::published}};
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    for (const std::int64_t row : {3, 8, 23}) {
      Tensors inputs = pll_objective_inputs(c, 804);
      inputs["logits"][row * 10 + row % 10] = value;
      const auto run = [&](Backend& backend) {
        return with_metric_fields(run_pll_objective(backend, c, inputs));
      };
      check_cpu_parity(fmt::format("pll_objective {} {} in row {}", c.name, value, row), 804,
                       Threads::one_result, run, pll_objective_tolerances(c, inputs));
      check_cuda_parity(fmt::format("pll_objective {} {} in row {}", c.name, value, row), 804, run,
                        pll_objective_tolerances(c, inputs));
    }
  }
}

TEST_CASE("cross_entropy: the backends agree with the reference") {
  struct Size {
    int rows, classes;
  };
  for (const Size size : {Size{1, 2}, {7, 3}, {16, 10}, {133, 10}, {5, 65}, {3, 1000}}) {
    for (const double scale : {1.0, 1e4}) {
      Random random(901);
      Tensors inputs;
      inputs["logits"] = random.normal_tensor({size.rows, size.classes}, 0, scale);
      HostTensor labels({size.rows + 5});
      for (double& label : labels.values) label = random.below(size.classes + 1) - 1;
      inputs["labels"] = labels;
      inputs["sums"] = random.uniform_tensor({3}, 0, 2);
      const auto run = [&](Backend& backend) { return run_cross_entropy(backend, inputs); };
      const Tolerances t = cross_entropy_tolerances();
      check_cpu_parity(fmt::format("cross_entropy {}x{}", size.rows, size.classes), 901, Threads::one_result,
                       run, t);
      check_cuda_parity(fmt::format("cross_entropy {}x{}", size.rows, size.classes), 901, run, t);
    }
  }
}
