// The comparison that every kernel goes through finds kernels that are broken: emulation.cmake's faults, each
// by the operation it sits in, and nothing elsewhere.
#include <cmath>

#include "emulation/emulated_backend.h"
#include "support/doctest.h"
#include "support/parity.h"

using namespace dpll;
using namespace dpll::test;

TEST_CASE("mutants: a removed barrier is found") {
  AugmentSpec spec;
  spec.height = spec.width = 16;
  spec.channels = 3;
  spec.batch = 16;
  spec.std = {1, 1, 1, 1};
  spec.weak = policy_recipe(AugmentPolicy::randaugment);  // reaches equalize and autocontrast
  const AugmentCase c{"mutant", spec};
  const Tensors inputs = augment_inputs(c, 1);
  const auto run = [&](Backend& backend) { return run_augment(backend, c, inputs); };
  const Tolerances t = {{"images", {kEpsilon, 4 * kEpsilon}}};
  check_cuda_parity("augment", 1, run, t);
  CHECK(cuda_complaint(*make_mutant_cuda_backend(DType::f32), "augment", 1, run, t) != "");
}

TEST_CASE("mutants: an index one too far is found") {
  const SgdCase c{"mutant", {.elements = 1001}};
  const Tensors inputs = sgd_inputs(c, 2);
  const auto run = [&](Backend& backend) { return run_sgd(backend, c, inputs); };
  const Tolerance few = {4 * kEpsilon, 0};
  const Tolerances t = {{"value", few}, {"velocity", few}, {"average", few}, {"health", {}}};
  check_cuda_parity("sgd", 2, run, t);
  const std::string found = cuda_complaint(*make_mutant_cuda_backend(DType::f32), "sgd", 2, run, t);
  CHECK_MESSAGE(found.find("written outside") != std::string::npos, found);
}

TEST_CASE("mutants: a wrong reduction is found") {
  const PllObjectiveCase c{"mutant", {3, 4, 40, ObjectiveVariant::published}};
  const Tensors inputs = pll_objective_inputs(c, 3);
  const auto run = [&](Backend& backend) { return run_pll_objective(backend, c, inputs); };
  const Tolerance loose = {1e-5, 1e-6};
  const Tolerances t = {{"d_logits", loose}, {"targets", loose}, {"last", loose}, {"total", loose}};
  check_cuda_parity("pll_objective", 3, run, t);
  CHECK(cuda_complaint(*make_mutant_cuda_backend(DType::f32), "pll_objective", 3, run, t) != "");
}
