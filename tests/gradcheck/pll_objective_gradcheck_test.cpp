// d_logits of pll_objective on the reference backend against central differences of lambda * L_con + L_sup.
#include <cmath>
#include <limits>

#include "support/doctest.h"
#include "support/gradient_check.h"

using namespace dpll;
using namespace dpll::test;

namespace {

constexpr std::int64_t kTotalField = 1;  // of ObjectiveMetrics

// Mean total loss of the batch, scaled as d_logits is.
double mean_loss(Backend& backend, const PllObjectiveCase& c, const Tensors& inputs) {
  const Tensors outputs = run_pll_objective(backend, c, inputs).outputs;
  return outputs.at("last")[kTotalField] / c.spec.batch * static_cast<double>(c.loss_scale);
}

}  // namespace

TEST_CASE("d_logits of pll_objective is the derivative of its loss") {
  constexpr std::uint64_t kSeed = 401;
  const std::unique_ptr<Backend> backend = make_reference_backend();
  for (const PllObjectiveCase& c : small_pll_objective_cases()) {
    if (c.logits == Logits::extreme) continue;  // the loss is 1e4: its rounding hides the gradient
    // Its target follows the same logits, and no gradient goes through it: the golden values check that.
    if (std::holds_alternative<Ill>(c.spec.method)) continue;
    const Tensors inputs = pll_objective_inputs(c, kSeed);
    const OpResult result = run_pll_objective(*backend, c, inputs);
    CHECK_MESSAGE(result.violations.empty(), c.name, ": ", result.violations);
    const Loss loss = [&](const Tensors& at) { return mean_loss(*backend, c, at); };
    // Sums over up to 1000 classes and 133 rows, in double: eps * |loss| is multiplied by a few tens. Parts
    // of some losses, a term for each class, cancel.
    const double rounding = 32 * std::numeric_limits<double>::epsilon() *
                            (std::abs(loss(inputs)) + 0.01 * c.spec.classes) / kGradientStep;
    const Tolerance tolerance = {kGradientTolerance.relative, rounding};
    const std::string wrong =
        check_gradient(fmt::format("pll_objective {}", c.name), kSeed, inputs, "logits",
                       result.outputs.at("d_logits"), loss, c.spec.classes > 100 ? 40 : 150, tolerance);
    CHECK_MESSAGE(wrong.empty(), wrong);
  }
}

// Where a label outside of the set takes nearly all probability, 1 / (c - p) grows to a million and the
// gradient is a difference of such numbers. With q = 1 - p = exp(-gap) for two classes
//   L = -log(c - 1 + q),  dL/dz_wrong = q (1 - q) / (c - 1 + q), and the other logit's is its negative.
TEST_CASE("d_logits is exact where a wrong label is nearly certain") {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  for (const ObjectiveVariant variant : {ObjectiveVariant::article, ObjectiveVariant::published}) {
    const double margin = variant == ObjectiveVariant::article ? 1e-6 : 0x1p-23;
    PllObjectiveCase c{"certain and wrong", {1, 1, 2, Plcr{.variant = variant}}, Candidates::one};
    c.lambda = 0;
    for (const double gap : {1.0, 8.0, 12.0, 14.0, 16.0, 20.0, 30.0, 40.0, 80.0, 700.0}) {
      Tensors inputs = pll_objective_inputs(c, 1);
      const auto sample = static_cast<std::int64_t>(inputs.at("order")[test_step().first]);
      const std::int64_t right = inputs.at("candidates")[sample * 2] != 0 ? 0 : 1;
      inputs["logits"][right] = 0;
      inputs["logits"][1 - right] = gap;
      const Tensors outputs = run_pll_objective(*backend, c, inputs).outputs;
      const double q = std::exp(-gap) / (1 + std::exp(-gap));
      const double want = q * (1 - q) / (margin + q);
      CAPTURE(gap);
      CHECK(std::abs(outputs.at("d_logits")[1 - right] / want - 1) < 1e-9);
      CHECK(std::abs(outputs.at("d_logits")[right] / want + 1) < 1e-9);
      CHECK(outputs.at("last")[kTotalField] == doctest::Approx(-std::log(margin + q)).epsilon(1e-9));
    }
  }
}

TEST_CASE("every output of pll_objective is finite at logits of 1e4") {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  for (const PllObjectiveCase& c : small_pll_objective_cases()) {
    for (const std::uint64_t seed : {1, 2, 3, 4}) {
      const Tensors outputs = run_pll_objective(*backend, c, pll_objective_inputs(c, seed)).outputs;
      for (const auto& output : outputs) {
        for (const double value : output.second.values) {
          REQUIRE_MESSAGE(std::isfinite(value), output.first, " of ", c.name, ", seed ", seed);
        }
      }
    }
  }
}
