// The comparisons that every kernel goes through find kernels that are broken: each fault of faults.h, on a
// case where the true kernels give no complaint.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>

#include "backend/host_copy.h"
#include "dpll/backend.h"
#include "emulation/emulated_backend.h"
#include "emulation/emulator.h"
#include "emulation/faults.h"
#include "support/doctest.h"
#include "support/parity.h"
#include "support/preact_conv_tolerances.h"

using namespace dpll;
using namespace dpll::test;
using emulation::ActiveFault;
using emulation::Fault;

namespace {

constexpr std::uint64_t kSeed = 1;
using Run = std::function<OpResult(Backend&)>;

// The complaint about the broken kernel; the true one gives none, nor does the copy without a fault.
std::string check_found(Fault fault, const std::string& op, const Run& run, const Tolerances& tolerances) {
  check_cuda_parity(op, kSeed, run, tolerances);
  const auto owner = make_mutant_cuda_backend(DType::f32);
  Backend& mutant = *owner;
  CHECK(cuda_complaint(mutant, op, kSeed, run, tolerances) == "");
  const ActiveFault active(fault);
  std::string found = cuda_complaint(mutant, op, kSeed, run, tolerances, kSchedules);
  CAPTURE(static_cast<int>(fault));
  CHECK(found != "");
  return found;
}

AugmentSpec augment_spec() {
  AugmentSpec spec;
  spec.height = 16;
  spec.width = 12;
  spec.channels = 3;
  spec.batch = 16;
  spec.std = {1, 1, 1, 1};
  return spec;
}

void check_augment(Fault fault, const AugmentSpec& spec) {
  const AugmentCase c{"mutant", spec};
  const Tensors inputs = augment_inputs(c, kSeed);
  check_found(
      fault, "augment", [&](Backend& backend) { return run_augment(backend, c, inputs); },
      augment_tolerances());
}

std::string check_batch_norm(Fault fault, const BnReluPoolSpec& spec) {
  const BnReluPoolCase c{"mutant", spec};
  const Tensors inputs = bn_relu_pool_inputs(c, kSeed);
  return check_found(
      fault, "bn_relu_pool",
      [&](Backend& backend) { return run_bn_relu_pool(backend, c, inputs, Passes::forward_and_backward); },
      bn_relu_pool_tolerances(c, inputs));
}

// Two warps a sample, and more samples than a warp has lanes.
PllObjectiveCase objective_case() {
  return {"mutant", {3, 34, 40, Plcr{.variant = ObjectiveVariant::published}}};
}

void check_objective(Fault fault) {
  const PllObjectiveCase c = objective_case();
  const Tensors inputs = pll_objective_inputs(c, kSeed);
  check_found(
      fault, "pll_objective",
      [&](Backend& backend) { return with_metric_fields(run_pll_objective(backend, c, inputs)); },
      pll_objective_tolerances(c, inputs));
}

void check_linear(Fault fault, const LinearSpec& spec) {
  const LinearCase c{"mutant", spec};
  const Tensors inputs = linear_inputs(c, kSeed);
  check_found(
      fault, "linear",
      [&](Backend& backend) { return run_linear(backend, c, inputs, Passes::forward_and_backward); },
      linear_tolerances(c));
}

void check_preact_conv(Fault fault, const ConvShape& shape, unsigned options) {
  const PreactConvCase c = conv_case("mutant", shape, options);
  const Tensors inputs = preact_conv_inputs(c, kSeed);
  check_found(
      fault, "preact_conv",
      [&](Backend& backend) { return run_preact_conv(backend, c, inputs, Passes::forward_and_backward); },
      preact_conv_tolerances(c, inputs, kEpsilon));
}

// In the variant that uses all that is fused with batch norm.
void check_fused(Fault fault) {
  const std::string variant = "activated with reductions";
  const PreactConvCase c = conv_case("mutant", {3, 2, 4, 4, 8, 8, 3, 1, 1}, kPreact | kStats);
  const Tensors inputs = preact_conv_inputs(c, kSeed);
  const auto run = [&](Backend& backend) {
    return run_preact_conv(backend, c, inputs, Passes::forward_and_backward);
  };
  const Tolerances tolerances = preact_conv_tolerances(c, inputs, kEpsilon);
  const auto complaint = [&](Backend& backend, int schedules) {
    return cuda_complaint(backend, variant, kSeed, run, tolerances, schedules);
  };
  CHECK(complaint(*emulated_cuda::make_forced_backend(DType::f32, variant), kUsualSchedules) == "");
  const auto mutant = mutant_cuda::make_forced_backend(DType::f32, variant);
  CHECK(complaint(*mutant, kUsualSchedules) == "");
  const ActiveFault active(fault);
  CAPTURE(static_cast<int>(fault));
  CHECK(complaint(*mutant, kSchedules) != "");
}

}  // namespace

TEST_CASE("mutants: a removed barrier is found") {
  AugmentSpec spec = augment_spec();
  spec.weak = policy_recipe(AugmentPolicy::randaugment);  // reaches equalize and autocontrast
  check_augment(Fault::augment_barrier, spec);
  check_batch_norm(Fault::normaliser_barrier, {Mode::train, 2, 9, 1, 1, 5, Pool::none});
  check_batch_norm(Fault::normaliser_barrier, joined({Mode::train, 2, 9, 1, 1, 5}, Shortcut::normalised));
  check_batch_norm(Fault::row_lanes_barrier, {Mode::train, 2, 9, 1, 1, 5, Pool::none});
  check_linear(Fault::statistics_barrier, {Mode::train, 2, 9, 3, 5, true, true});
  for (const Fault fault : {Fault::sum_barrier, Fault::top_barrier}) check_objective(fault);
}

TEST_CASE("mutants: an index that is off is found") {
  AugmentSpec spec = augment_spec();
  spec.weak.cutout = 5;
  check_augment(Fault::augment_box, spec);
  check_batch_norm(Fault::join_shortcut_pixel, joined({Mode::train, 2, 2, 3, 2, 6}, Shortcut::subsampled));
  check_batch_norm(Fault::forward_window, {Mode::train, 2, 2, 6, 4, 3, Pool::max2});
  check_preact_conv(Fault::dropout_word, {2, 2, 3, 3, 5, 2, 3, 1, 1}, kPreact | kDropout);
  check_fused(Fault::backward_view);
  check_fused(Fault::fused_statistics_view);

  const FeatureViewsCase features{"mutant", {.views = 3, .batch = 5, .features = 7, .strong = {.noise = 1}}};
  const Tensors of_features = feature_views_inputs(features, kSeed);
  check_found(
      Fault::feature_views_row, "feature_views",
      [&](Backend& backend) { return run_feature_views(backend, features, of_features); },
      feature_views_tolerances());

  const SgdCase update{"mutant", {.elements = 1001}};
  const Tensors of_update = sgd_inputs(update, kSeed);
  const std::string found = check_found(
      Fault::sgd_one_too_far, "sgd", [&](Backend& backend) { return run_sgd(backend, update, of_update); },
      sgd_tolerances());
  CHECK_MESSAGE(found.find("written outside") != std::string::npos, found);
}

TEST_CASE("mutants: a wrong reduction is found") {
  check_batch_norm(Fault::join_shortcut_slope, joined({Mode::train, 2, 3, 3, 2, 5}, Shortcut::normalised));
  check_batch_norm(Fault::average_next_image, average_alone({Mode::train, 2, 3, 3, 2, 5}));
  check_batch_norm(Fault::backward_window, {Mode::train, 2, 2, 6, 4, 3, Pool::max2});
  check_batch_norm(Fault::sums_last_block, long_bn_relu_pool_cases().front().spec);
  check_linear(Fault::statistics_last_block, long_linear_cases().front().spec);
  check_linear(Fault::sums_last_block, long_linear_cases().front().spec);
  check_preact_conv(Fault::add_gradients_tail, {2, 1, 5, 3, 3, 2, 3, 1, 1}, kProjection);
  check_fused(Fault::fused_bias_sign);
  check_fused(Fault::sum_parts_last);

  for (const Fault fault : {Fault::metrics_field, Fault::metrics_last_sample, Fault::metrics_too_early,
                            Fault::reduce_half_a_warp, Fault::reduce_last_warp}) {
    check_objective(fault);
  }
}

TEST_CASE("mutants: a counter of blocks that is not reset is found when its kernel runs again") {
  const auto second_statistics = [](Backend& backend) {
    const std::unique_ptr<Linear> op = backend.make_linear(
        {.mode = Mode::train, .views = 1, .batch = 300, .in_features = 1, .out_features = 1, .stats = true});
    const auto tensor = [&](Buffer& buffer, const Shape& shape, float value) {
      const Tensor like{nullptr, DType::f32, shape};
      buffer = backend.allocate(like.bytes(), "a test");
      write_floats(backend, buffer.tensor(DType::f32, shape),
                   std::vector<float>(static_cast<std::size_t>(like.elements()), value));
      return buffer.tensor(DType::f32, shape);
    };
    Buffer buffers[6];
    const LinearForward call = {
        .y = tensor(buffers[0], {300, 1}, 0),
        .y_stats = tensor(buffers[1], {1, 2, 1}, 0),
        .x = tensor(buffers[2], {300, 1}, 3),
        .weight = tensor(buffers[3], {1, 1}, 1),
        .bias = tensor(buffers[4], {1}, 0),
        .workspace = (buffers[5] = backend.allocate(op->workspace_bytes(), "a test"), buffers[5].data())};
    op->forward(call);
    write_floats(backend, call.y_stats, {0, 0});
    op->forward(call);
    return read_floats(backend, call.y_stats).front();
  };
  CHECK(second_statistics(*make_emulated_cuda_backend(DType::f32)) == 3);
  CHECK(second_statistics(*make_mutant_cuda_backend(DType::f32)) == 3);
  const ActiveFault active(Fault::counter_not_reset);
  CHECK(second_statistics(*make_mutant_cuda_backend(DType::f32)) == 0);
}

TEST_CASE("mutants: a block that counts itself as done without a fence is found") {
  const LinearCase c{"mutant", {Mode::train, 2, 9, 3, 5, true, true}};
  const Tensors inputs = linear_inputs(c, kSeed);
  const auto mutant = make_mutant_cuda_backend(DType::f32);
  const auto run = [&] { run_linear(*mutant, c, inputs, Passes::forward_and_backward); };
  CHECK_NOTHROW(run());
  const ActiveFault active(Fault::fence_missing);
  CHECK_THROWS_AS(run(), emulation::EmulationFault);
}

TEST_CASE("mutants: a kernel that does not wait for the one before it is found") {
  const LinearCase c{"mutant", {Mode::train, 2, 9, 3, 5, true, true}};
  const Tensors inputs = linear_inputs(c, kSeed);
  const ActiveFault active(Fault::no_wait);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // the memory is closed to it
    std::signal(SIGSEGV, SIG_DFL);
    run_linear(*make_mutant_cuda_backend(DType::f32), c, inputs, Passes::forward_and_backward);
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
}

// The CPU's table of targets has float32 as well, which the second step's loss begins with.
TEST_CASE("mutants: a count of the objective's samples that the next step finds is found") {
  const PllObjectiveCase c = objective_case();
  const Tensors inputs = pll_objective_inputs(c, kSeed);
  const auto metrics_of_second_step = [&](Backend& backend) {
    emulation::set_schedule(1);
    return run_pll_objective(backend, c, inputs, 2).outputs.at("last").values;
  };
  const auto cpu = metrics_of_second_step(*make_cpu_backend({.threads = 1}));
  const auto got = metrics_of_second_step(*make_emulated_cuda_backend(DType::f32));
  REQUIRE(got.size() == cpu.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(cpu[i]).epsilon(1e-12));
  const auto owner = make_mutant_cuda_backend(DType::f32);
  CHECK(metrics_of_second_step(*owner) == got);
  const ActiveFault active(Fault::metrics_count_kept);
  CHECK(metrics_of_second_step(*owner) != got);
}

TEST_CASE("mutants: a step that is counted by every thread is found") {
  const auto position_after_one = [](Backend& backend) {
    const Buffer step = backend.allocate(sizeof(StepState), "a test's step");
    backend.advance({.step = static_cast<StepState*>(step.data()), .batch = 3});
    StepState state;
    backend.copy_out(&state, step.tensor(DType::u8, {sizeof(StepState)}));
    return state.position;
  };
  CHECK(position_after_one(*make_emulated_cuda_backend(DType::f32)) == 1);
  const ActiveFault active(Fault::advance_every_thread);
  CHECK(position_after_one(*make_mutant_cuda_backend(DType::f32)) != 1);
}

TEST_CASE("mutants: a broken comparison of the tuner is found") {
  const std::vector<float> want(5000, 1.0F);
  std::vector<float> got = want;
  for (std::size_t i = 255; i < got.size(); i += 256) got[i] = 2;  // a block's last thread
  const auto right = static_cast<std::int64_t>(got.size() / 256);
  CHECK(emulated_cuda::count_differences(got, want) == right);
  CHECK(mutant_cuda::count_differences(got, want) == right);
  for (const Fault fault : {Fault::compare_last_thread, Fault::compare_barrier}) {
    const ActiveFault active(fault);
    bool wrong = false;
    for (std::uint64_t schedule = 0; schedule < 8; ++schedule) {
      emulation::set_schedule(schedule);
      wrong = wrong || mutant_cuda::count_differences(got, want) != right;
    }
    CAPTURE(static_cast<int>(fault));
    CHECK(wrong);
  }
}
