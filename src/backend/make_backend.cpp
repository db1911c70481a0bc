#include "backend/make_backend.h"

#include <cstdio>
#include <vector>

#include "dpll/core/check.h"
#include "io/text.h"

namespace dpll {

bool uses_gpu(const RunConfig::Run& run) {
  return run.device == DeviceChoice::cuda || run.device == DeviceChoice::check;
}

GpuPort& port_for(const RunConfig::Run& run) {
  if (gpu_port() != nullptr) return *gpu_port();
  fail(ExitCode::device,
       "run.device = {} needs the CUDA backend, which this program was built without; use cpu or auto",
       to_string(run.device));
}

// Where no qualification has found out which GPU: the first one.
int gpu_index(const RunConfig::Run& run) {
  return run.gpu < 0 ? 0 : run.gpu;
}

int gpu_architecture(const RunConfig::Run& run) {
  const std::vector<GpuFacts> gpus = port_for(run).list();
  for (const GpuFacts& gpu : gpus) {
    if (gpu.index == gpu_index(run)) return gpu.architecture;
  }
  fail(ExitCode::device, "device = {}:{}: the GPUs are counted from 0 to {}", to_string(run.device), run.gpu,
       gpus.size() - 1);
}

Precision automatic_precision(int architecture) {
  constexpr int kHopper = 90;
  return architecture <= kHopper ? Precision::f16 : Precision::bf16;
}

DType compute_type(Precision precision) {
  return precision == Precision::f16 ? DType::f16 : precision == Precision::bf16 ? DType::bf16 : DType::f32;
}

void print_warning(const std::string& text) {
  std::fprintf(stderr, "warning: %s\n", escaped(text).c_str());
}

std::unique_ptr<Backend> make_backend(const RunConfig::Run& run, const Warn& warn,
                                      const std::string& choices) {
  return make_backend_with_progress(run, warn, choices, [](const std::string&) {});
}

std::unique_ptr<Backend> make_backend_with_progress(const RunConfig::Run& run, const Warn& warn,
                                                    const std::string& choices, const Warn& progress) {
  if (!uses_gpu(run)) {
    return make_cpu_backend(
        {.threads = run.threads, .products = run.precision == Precision::bf16 ? DType::bf16 : DType::f32});
  }
  GpuPort& port = port_for(run);
  const Precision precision =
      run.precision == Precision::automatic ? automatic_precision(gpu_architecture(run)) : run.precision;
  return port.make({.index = gpu_index(run),
                    .compute = compute_type(precision),
                    .tf32 = precision == Precision::tf32,
                    .deterministic = run.deterministic,
                    .tuning = run.tuning,
                    .tuning_seconds = run.tuning_seconds,
                    .tuning_cache = run.tuning_cache,
                    .choices = choices,
                    .warn = warn,
                    .progress = progress});
}

}  // namespace dpll
