// pll_objective and cross_entropy on the CPU against the reference backend. The CPU computes a sample in
// double and rounds what it stores, so float32's rounding appears once.
#include <cmath>

#include "emulation/emulated_backend.h"
#include "emulation/emulator.h"
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
      check_cpu_parity(fmt::format("pll_objective {}", c.name), seed, {}, run,
                       pll_objective_tolerances(c, inputs));
      check_cuda_parity(fmt::format("pll_objective {}", c.name), seed, run,
                        pll_objective_tolerances(c, inputs));
    }
  }
}

TEST_CASE("pll_objective: one launch a step on a GPU, and no barrier where classes are few") {
  const auto backend = make_emulated_cuda_backend(DType::f32);
  const auto counted = [&](const PllObjectiveSpec& spec) {
    const PllObjectiveCase c{"counted", spec};
    const Tensors inputs = pll_objective_inputs(c, 1);
    const emulation::Counters before = emulation::counters();
    run_pll_objective(*backend, c, inputs);
    emulation::Counters after = emulation::counters();
    after.launches -= before.launches;
    after.barriers -= before.barriers;
    return after;
  };
  const emulation::Counters few = counted({3, 4, 32, Plcr{}});
  CHECK(few.launches == 1);
  CHECK(few.barriers == 0);
  // A barrier a reduction: 3 for the softmax of each view, 2 for the supervised term, 3 for the consistency
  // term, 3 for the new row, and the largest entries of the old and the new one.
  const emulation::Counters many = counted({3, 4, 33, Plcr{}});
  CHECK(many.launches == 1);
  CHECK(many.barriers == 4 * (3 * 3 + 2 + 3 + 3 + 2));
  // Each round of a method prepares all samples, and adds up.
  CHECK(counted({1, 4, 10, WeightedComplementary{}}).launches == 1 + 2);
  CHECK(counted({1, 4, 10, NonNegativeRisk{}}).launches == 1 + 2 * 2);
}

TEST_CASE("pll_objective: the CUDA backend agrees with the reference in 16 bits") {
  for (const PllObjectiveCase& c : small_pll_objective_cases()) {
    check_cuda_parity_in_16_bits({fmt::format("pll_objective {}", c.name), 805,
                                  [&](DType type) { return pll_objective_inputs(c, 805, type); },
                                  [&](Backend& backend, const Tensors& inputs) {
                                    return with_metric_fields(run_pll_objective(backend, c, inputs));
                                  },
                                  [&](DType type, const Tensors& inputs, const Tensors&) {
                                    return pll_objective_tolerances(c, inputs, type);
                                  }});
  }
}

TEST_CASE("pll_objective: the backends treat broken logits as the reference does") {
  const PllObjectiveCase c{"broken", {3, 8, 10, Plcr{.variant = ObjectiveVariant::published}}};
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    for (const std::int64_t row : {3, 8, 23}) {
      Tensors inputs = pll_objective_inputs(c, 804);
      inputs["logits"][row * 10 + row % 10] = value;
      const auto run = [&](Backend& backend) {
        return with_metric_fields(run_pll_objective(backend, c, inputs));
      };
      check_cpu_parity(fmt::format("pll_objective {} {} in row {}", c.name, value, row), 804, {}, run,
                       pll_objective_tolerances(c, inputs));
      check_cuda_parity(fmt::format("pll_objective {} {} in row {}", c.name, value, row), 804, run,
                        pll_objective_tolerances(c, inputs));
    }
  }
}

namespace {

struct EvaluationCase {
  int rows, classes;
  double scale;  // of the logits
};

std::vector<EvaluationCase> evaluation_cases() {
  std::vector<EvaluationCase> cases;
  for (const double scale : {1.0, 1e4}) {
    for (const auto& [rows, classes] : {std::pair{1, 2}, {7, 3}, {16, 10}, {133, 10}, {5, 65}, {3, 1000}}) {
      cases.push_back({rows, classes, scale});
    }
  }
  return cases;
}

Tensors evaluation_inputs(const EvaluationCase& c, DType type) {
  Random random(901);
  Tensors inputs;
  inputs["logits"] = rounded(type, random.normal_tensor({c.rows, c.classes}, 0, c.scale));
  HostTensor labels({c.rows + 5});
  for (double& label : labels.values) label = random.below(c.classes + 1) - 1;
  inputs["labels"] = labels;
  inputs["sums"] = random.uniform_tensor({3}, 0, 2);
  return inputs;
}

}  // namespace

TEST_CASE("cross_entropy: the backends agree with the reference") {
  for (const EvaluationCase& c : evaluation_cases()) {
    const Tensors inputs = evaluation_inputs(c, DType::f32);
    const auto run = [&](Backend& backend) { return run_cross_entropy(backend, inputs); };
    const std::string what = fmt::format("cross_entropy {}x{}", c.rows, c.classes);
    check_cpu_parity(what, 901, {}, run, cross_entropy_tolerances());
    check_cuda_parity(what, 901, run, cross_entropy_tolerances());
  }
}

// Nothing of it has 16 bits but the logits.
TEST_CASE("cross_entropy: the CUDA backend agrees with the reference in 16 bits") {
  for (const EvaluationCase& c : evaluation_cases()) {
    check_cuda_parity_in_16_bits(
        {fmt::format("cross_entropy {}x{}", c.rows, c.classes), 901,
         [&](DType type) { return evaluation_inputs(c, type); },
         [&](Backend& backend, const Tensors& inputs) { return run_cross_entropy(backend, inputs); },
         [&](DType, const Tensors&, const Tensors&) { return cross_entropy_tolerances(); }});
  }
}
