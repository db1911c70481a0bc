// The CUDA backend on the GPU of this machine. The case tables of tests/parity run on it as well where there
// is one, see check_cuda_parity().
#include <cmath>
#include <vector>

#include "dpll/core/philox.h"
#include "emulation/emulated_backend.h"
#include "gpu/real_gpu.h"
#include "selftest/golden_checks.h"
#include "support/doctest.h"
#include "train/training_step.h"

using namespace dpll;
using namespace dpll::test;

namespace {

void check_no_complaints(const selftest::GoldenResult& result) {
  CHECK(result.cases > 0);
  for (const std::string& complaint : result.complaints) FAIL_CHECK(complaint);
}

// Training from the same start on the same data: the total loss of every step.
std::vector<double> losses(Backend& backend, Architecture architecture, int steps) {
  constexpr int kSamples = 48, kSide = 12, kClasses = 5;
  DataSet data;
  data.classes = kClasses;
  data.train = {
      .count = kSamples, .height = kSide, .width = kSide, .channels = 3, .pixels = {}, .labels = {}};
  CandidateSets sets(kSamples, kClasses);
  PhiloxStream draw(4, Purpose::split, 0, 0, 0);
  for (int i = 0; i < kSamples; ++i) {
    for (int p = 0; p < kSide * kSide * 3; ++p) {
      data.train.pixels.push_back(static_cast<std::uint8_t>(30 * (i % kClasses) + draw.next_below(100)));
    }
    data.train.labels.push_back(i % kClasses);
    sets.insert(i, i % kClasses);
    sets.insert(i, static_cast<int>(draw.next_below(kClasses)));
  }
  RunConfig config;
  config.model.architecture = architecture;
  config.model.depth = 10;
  config.model.width = 1;
  config.model.dropout = architecture == Architecture::wide_resnet ? 0.1 : 0;
  config.optimiser.batch = 10;
  config.views.policy = AugmentPolicy::plcr_cifar;
  config.data.dataset = "safetensors";
  const ViewSetup views = resolve_views(config, kSide, kSide, 3);
  const auto network = make_network(backend, config.model, {kSide, kSide, 3, kClasses}, false);
  TrainingStep step(backend, *network, config, views, data, sets);
  const Buffer arena = backend.allocate(step.arena_bytes(), "a test's activations");
  step.attach(arena.data());
  network->state().initialise(2);
  std::vector<double> result;
  for (int i = 0; i < steps; ++i) {
    const auto epoch = i / step.steps_per_epoch();
    step.run(static_cast<int>(epoch), i % step.steps_per_epoch(), {.learning_rate = 1e-3F, .scalars = {1}});
    const ObjectiveMetrics metrics = step.last_metrics();
    result.push_back(metrics.total / metrics.samples);
  }
  return result;
}

// Within 1e-5 for ten steps, 1e-4 to the fifteenth. Rounding grows from step to step: the CPU's float32
// leaves 1e-4 of its float64 at step 22 (wide residual network) and 28 (LeNet), so more steps than
// kComparable say nothing.
constexpr int kComparable = 15;
void check_same_training(Backend& backend, int steps) {
  REQUIRE(steps <= kComparable);
  for (const Architecture architecture :
       {Architecture::wide_resnet, Architecture::lenet, Architecture::mlp}) {
    const std::vector<double> want = losses(*make_cpu_backend({.threads = 2}), architecture, steps);
    const std::vector<double> got = losses(backend, architecture, steps);
    for (std::size_t i = 0; i < want.size(); ++i) {
      CAPTURE(static_cast<int>(architecture));
      CAPTURE(i);
      CAPTURE(want[i]);
      CAPTURE(got[i]);
      const double bound = i < 10 ? 1e-5 : 1e-4;
      // Not >: NaN fails.
      CHECK(std::abs(got[i] - want[i]) <= bound * std::abs(want[i]));
    }
  }
}

}  // namespace

TEST_CASE("gpu: layers, objective and update are PyTorch's") {
  if (real_gpu().backend == nullptr) DPLL_SKIP_NEEDS_CUDA(real_gpu().why_not);
  Backend& gpu = *real_gpu().backend;
  using selftest::check_golden_cases;
  check_no_complaints(check_golden_cases(gpu, "preact_conv", selftest::check_preact_conv));
  check_no_complaints(check_golden_cases(gpu, "bn_relu_pool", selftest::check_bn_relu_pool));
  check_no_complaints(check_golden_cases(gpu, "linear", selftest::check_linear));
  check_no_complaints(check_golden_cases(gpu, "pll_objective", selftest::check_objective));
  check_no_complaints(check_golden_cases(gpu, "sgd", selftest::check_sgd));
}

TEST_CASE("gpu: ten training steps are PyTorch's") {
  if (real_gpu().backend == nullptr) DPLL_SKIP_NEEDS_CUDA(real_gpu().why_not);
  check_no_complaints(
      selftest::check_golden_cases(*real_gpu().backend, "trajectory", selftest::check_trajectory));
}

TEST_CASE("gpu: views are Pillow's, to the bit") {
  if (real_gpu().backend == nullptr) DPLL_SKIP_NEEDS_CUDA(real_gpu().why_not);
  check_no_complaints(selftest::check_views(*real_gpu().backend));
}

TEST_CASE("gpu: fifteen steps with all views are the CPU's, and fifty the same bits again") {
  if (real_gpu().backend == nullptr) DPLL_SKIP_NEEDS_CUDA(real_gpu().why_not);
  Backend& gpu = *real_gpu().backend;
  check_same_training(gpu, kComparable);
  for (const Architecture architecture :
       {Architecture::wide_resnet, Architecture::lenet, Architecture::mlp}) {
    CHECK(losses(gpu, architecture, 50) == losses(gpu, architecture, 50));
  }
}

TEST_CASE("seven steps with all views on the emulated CUDA backend are the CPU's") {
  check_same_training(*make_emulated_cuda_backend(DType::f32), 7);
}
