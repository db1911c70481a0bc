#include "support/parity.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "emulation/emulated_backend.h"
#include "emulation/emulator.h"
#include "support/doctest.h"
#include "support/threads.h"

namespace dpll::test {
namespace {

// Empty if both hold the same bits.
std::string bit_difference(const std::string& what, const Tensors& got, const Tensors& want) {
  for (const auto& [name, tensor] : want) {
    const HostTensor& other = got.at(name);
    if (other.shape != tensor.shape ||
        std::memcmp(other.values.data(), tensor.values.data(), tensor.values.size() * sizeof(double)) != 0) {
      return fmt::format("{}: {} differs", what, name);
    }
  }
  return "";
}

void check_outputs(const std::string& run_name, std::uint64_t seed, const OpResult& got, const OpResult& want,
                   const Tolerances& tolerances) {
  CHECK_MESSAGE(got.violations.empty(), run_name, ": ", got.violations);
  REQUIRE_MESSAGE(got.outputs.size() == want.outputs.size(), run_name);
  for (const auto& [name, tensor] : want.outputs) {
    const std::string label = fmt::format("{}: {}", run_name, name);
    REQUIRE_MESSAGE(tolerances.count(name) == 1, label, " has no tolerance");
    const std::string wrong = difference(label, seed, got.outputs.at(name), tensor, tolerances.at(name));
    CHECK_MESSAGE(wrong.empty(), wrong);
  }
}

}  // namespace

void check_cuda_parity(const std::string& what, std::uint64_t seed,
                       const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances) {
  constexpr std::uint64_t kSchedules = 8;
  const OpResult want = run(*make_reference_backend());
  const std::unique_ptr<Backend> backend = make_emulated_cuda_backend(DType::f32);
  Tensors first;
  for (std::uint64_t schedule = 0; schedule < kSchedules; ++schedule) {
    emulation::set_schedule(schedule);
    const std::string run_name = fmt::format("{}, emulated cuda, schedule {}", what, schedule);
    const OpResult got = run(*backend);
    if (schedule == 0) {
      check_outputs(run_name, seed, got, want, tolerances);
      first = got.outputs;
    }
    CHECK_MESSAGE(got.violations.empty(), run_name, ": ", got.violations);
    const std::string dependent = bit_difference(run_name + " against schedule 0", got.outputs, first);
    CHECK_MESSAGE(dependent.empty(), dependent);
  }
}

void check_cpu_parity(const std::string& what, std::uint64_t seed, Threads threads,
                      const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances) {
  const OpResult want = run(*make_reference_backend());
  const ThreadCount restored_afterwards(omp_get_max_threads());
  Tensors with_one_thread;
  for (const int count : {1, 2, 3}) {
    const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = count});
    const std::string run_name = fmt::format("{}, {} threads", what, count);
    const OpResult got = run(*backend);
    check_outputs(run_name, seed, got, want, tolerances);
    const std::string unrepeatable =
        bit_difference(run_name + ", second run", run(*backend).outputs, got.outputs);
    CHECK_MESSAGE(unrepeatable.empty(), unrepeatable);
    if (count == 1) with_one_thread = got.outputs;
    if (threads == Threads::one_result) {
      const std::string dependent =
          bit_difference(run_name + " against 1 thread", got.outputs, with_one_thread);
      CHECK_MESSAGE(dependent.empty(), dependent);
    }
  }
}

Tolerance rounding_of_sum(double length, double term) {
  return {kSafety * kEpsilon * std::sqrt(length), kSafety * kEpsilon * length * term};
}

Tolerance operator+(const Tolerance& a, const Tolerance& b) {
  return {a.relative + b.relative, a.absolute + b.absolute};
}

Conditioning conditioning_of(const Tensors& inputs, Mode mode, int views) {
  const HostTensor &x = inputs.at("x"), &gamma = inputs.at("bn.gamma");
  const HostTensor stats = view_stats(x, views);
  const std::int64_t channels = gamma.elements(), per_view = x.elements() / views;
  Conditioning result;
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    const std::int64_t c = i % channels, v = i / per_view;
    const double var =
        mode == Mode::train ? stats[(v * 2 + 1) * channels + c] : inputs.at("bn.running_var")[c];
    const double sigma = std::sqrt(var + kBatchNormEpsilon);
    result.gain = std::max(result.gain, std::abs(gamma[c]) / sigma);
    result.offset = std::max(result.offset, std::abs(x[i]) / sigma);
    result.value = std::max(result.value, std::abs(gamma[c] * x[i]) / sigma);
  }
  return result;
}

}  // namespace dpll::test
