// sgd of the CPU and CUDA backends against the reference backend: a handful of roundings of values of
// order 1.
#include <cmath>

#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

namespace {

void check_case(const SgdCase& c, const Tensors& inputs, std::uint64_t seed) {
  const auto run = [&](Backend& backend) { return run_sgd(backend, c, inputs); };
  check_cpu_parity(fmt::format("sgd {}", c.name), seed, {}, run, sgd_tolerances());
  check_cuda_parity(fmt::format("sgd {}", c.name), seed, run, sgd_tolerances());
}

// fields of "health"
enum { kNonfinite, kSkipped, kGoodSteps, kHalted, kLossScale };

}  // namespace

TEST_CASE("sgd: the backends agree with the reference") {
  for (const SgdCase& c : small_sgd_cases()) check_case(c, sgd_inputs(c, 1001), 1001);
}

TEST_CASE("sgd: the backends skip broken gradients as the reference does") {
  for (const bool dynamic : {false, true}) {
    const SgdCase c{
        "broken", {.elements = 70001, .weights = 50000, .ema = 0.9, .dynamic_loss_scale = dynamic}, 256};
    for (const std::int64_t i : {std::int64_t{0}, std::int64_t{40000}, std::int64_t{70000}}) {
      for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
        Tensors inputs = sgd_inputs(c, 1002);
        inputs["d_value"][i] = value;
        inputs["d_value"][1] = value;
        check_case(c, inputs, 1002);
      }
    }
  }
}

TEST_CASE("sgd: overflow halves a dynamic loss scale and halts without one") {
  const auto health_of = [](bool dynamic, float loss_scale, double gradient, double halted) {
    const SgdCase c{"overflow", {.elements = 9, .dynamic_loss_scale = dynamic}, loss_scale};
    Tensors inputs = sgd_inputs(c, 1003);
    inputs["d_value"][3] = gradient;
    inputs["health"][3] = halted;
    const OpResult result = run_sgd(*make_cpu_backend({.threads = 1}), c, inputs);
    const bool moved = result.outputs.at("value").values != inputs.at("value").values;
    CHECK(moved == (std::isfinite(gradient) && halted == 0));
    return result.outputs.at("health").values;
  };
  const double inf = HUGE_VAL;
  CHECK(health_of(true, 256, inf, 0) == std::vector<double>{1, 4, 0, 0, 4, 128});
  CHECK(health_of(true, kLeastLossScale, inf, 0) ==
        std::vector<double>{1, 4, 0, 1, 4, double{kLeastLossScale}});
  CHECK(health_of(false, 256, inf, 0) == std::vector<double>{1, 4, 0, 1, 4, 256});
  CHECK(health_of(false, 1, 2, 0) == std::vector<double>{0, 3, 6, 0, 5, 1});
  // Halted: whatever comes changes nothing.
  CHECK(health_of(false, 1, 2, 1) == std::vector<double>{0, 4, 0, 1, 4, 1});
  CHECK(health_of(true, 256, 2, 1) == std::vector<double>{0, 4, 0, 1, 4, 256});
}

TEST_CASE("sgd: 16-bit weights are the new values, rounded, and their gradients count in full") {
  for (const SgdCase& c : small_sgd_cases()) {
    check_cuda_parity_in_16_bits(
        {fmt::format("sgd {}", c.name), 1004, [&](DType type) { return sgd_inputs(c, 1004, type); },
         [&](Backend& backend, const Tensors& inputs) {
           return with_own_weight(run_sgd(backend, c, inputs), c.spec.weights, backend.weight_dtype());
         },
         [&](DType, const Tensors&, const Tensors&) { return sgd_tolerances(); }});
  }
}
