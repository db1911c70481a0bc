#include "train/devices.h"

#include <fmt/format.h>

#include <cstdio>
#include <thread>

#include "dpll/core/check.h"
#if defined(DPLL_WITH_CUDA)
#include "backend/cuda/gpu/gpu_backend.h"
#endif

namespace dpll {
namespace {

bool uses_gpu(const RunConfig::Run& run) {
  return run.device == DeviceChoice::cuda || run.device == DeviceChoice::check;
}

#if !defined(DPLL_WITH_CUDA)
[[noreturn]] void fail_without_cuda(const RunConfig::Run& run) {
  fail(ExitCode::device,
       "run.device = {} needs the CUDA backend, which this program was built without; use cpu or auto",
       to_string(run.device));
}
#endif

}  // namespace

Precision automatic_precision(int architecture) {
  constexpr int kHopper = 90;
  return architecture <= kHopper ? Precision::f16 : Precision::bf16;
}

void resolve_devices(RunConfig::Run& run) {
  if (run.threads == 0) run.threads = static_cast<int>(std::thread::hardware_concurrency());
  // The GPU's backend has not been proven on hardware yet: whoever wants it names it.
  if (run.device == DeviceChoice::automatic) run.device = DeviceChoice::cpu;
  if (run.precision != Precision::automatic) return;
  if (!uses_gpu(run)) {
    run.precision = Precision::f32;
    return;
  }
#if defined(DPLL_WITH_CUDA)
  run.precision = automatic_precision(gpu_architecture());
#else
  fail_without_cuda(run);
#endif
}

std::string device_line(const RunConfig::Run& run) {
  if (uses_gpu(run)) return fmt::format("device: {}", to_string(run.device));
  return fmt::format("device: cpu, {} thread{}, instruction set {}", run.threads, run.threads == 1 ? "" : "s",
                     cpu_instruction_set());
}

void print_warning(const std::string& text) {
  std::fprintf(stderr, "warning: %s\n", text.c_str());
}

std::unique_ptr<Backend> make_backend(const RunConfig::Run& run, [[maybe_unused]] const Warn& warn,
                                      [[maybe_unused]] const std::string& choices) {
  if (!uses_gpu(run)) {
    return make_cpu_backend(
        {.threads = run.threads, .products = run.precision == Precision::bf16 ? DType::bf16 : DType::f32});
  }
#if defined(DPLL_WITH_CUDA)
  const Precision precision =
      run.precision == Precision::automatic ? automatic_precision(gpu_architecture()) : run.precision;
  return make_gpu_backend({.compute = precision == Precision::f16    ? DType::f16
                                      : precision == Precision::bf16 ? DType::bf16
                                                                     : DType::f32,
                           .tf32 = precision == Precision::tf32,
                           .deterministic = run.deterministic,
                           .tuning = run.tuning,
                           .tuning_cache = run.tuning_cache,
                           .choices = choices,
                           .warn = warn});
#else
  fail_without_cuda(run);
#endif
}

}  // namespace dpll
