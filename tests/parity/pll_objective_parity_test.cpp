// pll_objective and cross_entropy on the CPU against the reference backend. The CPU computes a sample in
// double and rounds what it stores, so float32's rounding appears once.
#include <cmath>

#include "support/doctest.h"
#include "support/parity.h"
#include "support/random.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// The article's constant is 1 + 1e-6 in the compute type, which is 1 + 2^-20 in float32. So log(c - p) is off
// by at most this much, for all labels outside of the sets of the batch together.
double effect_of_constant(const PllObjectiveCase& c, const Tensors& inputs) {
  if (c.spec.variant != ObjectiveVariant::article) return 0;
  const HostTensor &logits = inputs.at("logits"), &candidates = inputs.at("candidates");
  const std::int64_t classes = c.spec.classes;
  double sum = 0;
  for (std::int64_t r = 0; r < c.spec.batch; ++r) {
    const std::int64_t position = std::int64_t{test_step().first} + r;
    const auto sample = c.ordered ? static_cast<std::int64_t>(inputs.at("order")[position]) : position;
    for (std::int64_t j = 0; j < classes; ++j) {
      if (candidates[sample * classes + j] != 0) continue;
      double others = 0;  // relative to exp(logit j): 1 - p = others / (1 + others)
      for (std::int64_t k = 0; k < classes; ++k) {
        if (k != j) others += std::exp(logits[r * classes + k] - logits[r * classes + j]);
      }
      const double rest = std::isinf(others) ? 1 : others / (1 + others);
      sum += (1e-6 - 0x1p-20) / (0x1p-20 + rest);
    }
  }
  return sum;
}

HostTensor field(const HostTensor& metrics, std::int64_t i) {
  HostTensor one({1});
  one[0] = metrics[i];
  return one;
}

// The counts among the metrics are exact, so every field becomes an output of its own.
OpResult with_fields(OpResult result) {
  const std::vector<std::string> names = {"samples",        "total",   "supervised",     "consistency",
                                          "labelled",       "correct", "pseudo_correct", "covered",
                                          "target_entropy", "max",     "changed",        "nonfinite"};
  REQUIRE(names.size() == kObjectiveMetricsFields);
  for (const std::string table : {"last", "total"}) {
    const HostTensor metrics = result.outputs.at(table);
    result.outputs.erase(table);
    for (std::size_t i = 0; i < names.size(); ++i) {
      result.outputs[table + "." + names[i]] = field(metrics, static_cast<std::int64_t>(i));
    }
  }
  return result;
}

Tolerances tolerances(const PllObjectiveCase& c, const Tensors& inputs) {
  const double constant = effect_of_constant(c, inputs);
  Tolerances t;
  // Its derivative p (1 - p) / (c - p) changes by no more than log(c - p) itself.
  t["d_logits"] = {kEpsilon, constant * static_cast<double>(c.loss_scale) / c.spec.batch};
  t["targets"] = {0, kEpsilon / 2};
  for (const std::string table : {"last", "total"}) {
    for (const char* count :
         {"samples", "labelled", "correct", "pseudo_correct", "covered", "changed", "nonfinite"}) {
      t[table + "." + count] = {};
    }
    for (const char* loss : {"total", "supervised", "consistency", "target_entropy"}) {
      t[table + "." + loss] = {1e-12, 1e-11 + constant};
    }
    t[table + ".max"] = {1e-12, c.spec.batch * kEpsilon / 2};
  }
  return t;
}

}  // namespace

TEST_CASE("pll_objective: the backends agree with the reference") {
  for (const PllObjectiveCase& c : small_pll_objective_cases()) {
    for (const std::uint64_t seed : {801, 802, 803}) {
      const Tensors inputs = pll_objective_inputs(c, seed);
      const auto run = [&](Backend& backend) { return with_fields(run_pll_objective(backend, c, inputs)); };
      check_cpu_parity(fmt::format("pll_objective {}", c.name), seed, Threads::one_result, run,
                       tolerances(c, inputs));
      check_cuda_parity(fmt::format("pll_objective {}", c.name), seed, run, tolerances(c, inputs));
    }
  }
}

// Everything but d_logits is computed and stored as in float32.
TEST_CASE("pll_objective: the CUDA backend agrees with the reference in 16 bits") {
  for (const PllObjectiveCase& c : small_pll_objective_cases()) {
    check_cuda_parity_in_16_bits({fmt::format("pll_objective {}", c.name), 805,
                                  [&](DType type) { return pll_objective_inputs(c, 805, type); },
                                  [&](Backend& backend, const Tensors& inputs) {
                                    return with_fields(run_pll_objective(backend, c, inputs));
                                  },
                                  [&](DType type, const Tensors& inputs, const Tensors&) {
                                    Tolerances t = tolerances(c, inputs);
                                    t["d_logits"] = t["d_logits"] + stored_in(type);
                                    return t;
                                  }});
  }
}

TEST_CASE("pll_objective: the backends treat broken logits as the reference does") {
  const PllObjectiveCase c{"broken", {3, 8, 10, ObjectiveVariant::published}};
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    for (const std::int64_t row : {3, 8, 23}) {
      Tensors inputs = pll_objective_inputs(c, 804);
      inputs["logits"][row * 10 + row % 10] = value;
      const auto run = [&](Backend& backend) { return with_fields(run_pll_objective(backend, c, inputs)); };
      check_cpu_parity(fmt::format("pll_objective {} {} in row {}", c.name, value, row), 804,
                       Threads::one_result, run, tolerances(c, inputs));
      check_cuda_parity(fmt::format("pll_objective {} {} in row {}", c.name, value, row), 804, run,
                        tolerances(c, inputs));
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

// In every type: nothing of it has 16 bits but the logits.
const Tolerances kEvaluation = {
    {"sums", {1e-12, 0}}, {"predictions", {}}, {"confidences", {0, kEpsilon / 2}}};

}  // namespace

TEST_CASE("cross_entropy: the backends agree with the reference") {
  for (const EvaluationCase& c : evaluation_cases()) {
    const Tensors inputs = evaluation_inputs(c, DType::f32);
    const auto run = [&](Backend& backend) { return run_cross_entropy(backend, inputs); };
    const std::string what = fmt::format("cross_entropy {}x{}", c.rows, c.classes);
    check_cpu_parity(what, 901, Threads::one_result, run, kEvaluation);
    check_cuda_parity(what, 901, run, kEvaluation);
  }
}

TEST_CASE("cross_entropy: the CUDA backend agrees with the reference in 16 bits") {
  for (const EvaluationCase& c : evaluation_cases()) {
    check_cuda_parity_in_16_bits(
        {fmt::format("cross_entropy {}x{}", c.rows, c.classes), 901,
         [&](DType type) { return evaluation_inputs(c, type); },
         [&](Backend& backend, const Tensors& inputs) { return run_cross_entropy(backend, inputs); },
         [&](DType, const Tensors&, const Tensors&) { return kEvaluation; }});
  }
}
