#include "support/parity.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "emulation/emulated_backend.h"
#include "emulation/emulator.h"
#include "gpu/real_gpu.h"
#include "support/doctest.h"
#include "support/encode.h"
#include "support/threads.h"

namespace dpll::test {
namespace {

// Empty if both hold the same bits.
std::string bit_difference(const std::string& what, const Tensors& got, const Tensors& want) {
  for (const auto& [name, tensor] : want) {
    const HostTensor& other = got.at(name);
    if (other.shape != tensor.shape) return fmt::format("{}: {} differs", what, name);
    if (tensor.values.empty()) continue;
    if (std::memcmp(other.values.data(), tensor.values.data(), tensor.values.size() * sizeof(double)) != 0) {
      return fmt::format("{}: {} differs", what, name);
    }
  }
  return "";
}

}  // namespace

std::string cuda_complaint(Backend& backend, const std::string& what, std::uint64_t seed,
                           const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances,
                           int schedules) {
  const OpResult want = run(*make_reference_backend());
  Tensors first;
  for (int schedule = 0; schedule < schedules; ++schedule) {
    emulation::set_schedule(static_cast<std::uint64_t>(schedule));
    const std::string run_name = fmt::format("{}, emulated cuda, schedule {}", what, schedule);
    const OpResult got = run(backend);
    std::string wrong = complaint_about(run_name, seed, got, want, tolerances);
    if (wrong.empty() && schedule > 0) {
      wrong = bit_difference(run_name + " against schedule 0", got.outputs, first);
    }
    if (!wrong.empty()) return wrong;
    if (schedule == 0) first = got.outputs;
  }
  return "";
}

namespace {

// DPLL_PARITY=gpu: only the GPU against the reference, for tools that watch what runs on it.
bool gpu_alone() {
  const char* const value = std::getenv("DPLL_PARITY");
  return value != nullptr && std::string(value) == "gpu";
}

// On this machine's GPU, where there is one. Where there is none that is said by the tests of tests/gpu, or
// here when nothing else was asked for: a GPU that is lost must not look like one that computes right.
void check_gpu_parity(const std::string& what, std::uint64_t seed, DType compute,
                      const std::function<OpResult(Backend&)>& run, const OpResult& want,
                      const Tolerances& tolerances) {
  Backend* const gpu = real_gpu(compute).backend;
  if (gpu == nullptr) {
    if (gpu_alone()) note_skip(real_gpu(compute).why_not, true);
    return;
  }
  const OpResult got = run(*gpu);
  const std::string differs = complaint_about(what + ", GPU", seed, got, want, tolerances);
  CHECK_MESSAGE(differs.empty(), differs);
  const std::string unrepeatable = bit_difference(what + ", GPU, second run", run(*gpu).outputs, got.outputs);
  CHECK_MESSAGE(unrepeatable.empty(), unrepeatable);
}

}  // namespace

void check_cuda_parity(const std::string& what, std::uint64_t seed,
                       const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances) {
  if (!gpu_alone()) {
    const std::string wrong =
        cuda_complaint(*make_emulated_cuda_backend(DType::f32), what, seed, run, tolerances);
    CHECK_MESSAGE(wrong.empty(), wrong);
  }
  check_gpu_parity(what, seed, DType::f32, run, run(*make_reference_backend()), tolerances);
}

void check_cuda_parity_in_16_bits(const CaseOf16Bits& c) {
  for (const DType type : {DType::f16, DType::bf16}) {
    const Tensors inputs = c.inputs(type);
    const auto run = [&](Backend& backend) { return c.run(backend, inputs); };
    const OpResult want = run(*make_reference_backend());
    const Tolerances tolerances = c.tolerances(type, inputs, want.outputs);
    const std::string what = fmt::format("{}, {}", c.what, name_of(type));
    if (!gpu_alone()) {
      const std::string wrong =
          cuda_complaint(*make_emulated_cuda_backend(type), what, c.seed, run, tolerances);
      CHECK_MESSAGE(wrong.empty(), wrong);
    }
    check_gpu_parity(what, c.seed, type, run, want, tolerances);
  }
}

void check_cpu_parity(const std::string& what, std::uint64_t seed, const std::vector<std::string>& by_threads,
                      const std::function<OpResult(Backend&)>& run, const Tolerances& tolerances) {
  if (gpu_alone()) return;
  const OpResult want = run(*make_reference_backend());
  const ThreadCount restored_afterwards(omp_get_max_threads());
  Tensors with_one_thread;
  for (const int count : {1, 2, 3}) {
    const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = count});
    const std::string run_name = fmt::format("{}, {} threads", what, count);
    const OpResult got = run(*backend);
    const std::string wrong = complaint_about(run_name, seed, got, want, tolerances);
    CHECK_MESSAGE(wrong.empty(), wrong);
    const std::string unrepeatable =
        bit_difference(run_name + ", second run", run(*backend).outputs, got.outputs);
    CHECK_MESSAGE(unrepeatable.empty(), unrepeatable);
    if (count == 1) with_one_thread = got.outputs;
    Tensors same = got.outputs, first = with_one_thread;
    for (const std::string& name : by_threads) {
      same.erase(name);
      first.erase(name);
    }
    const std::string dependent = bit_difference(run_name + " against 1 thread", same, first);
    CHECK_MESSAGE(dependent.empty(), dependent);
  }
}

}  // namespace dpll::test
