#include "train/devices.h"

#include <fmt/format.h>

#include <cstdio>
#include <vector>

#include "backend/cpu/usable_threads.h"
#include "backend/gpu_port.h"
#include "config/text.h"
#include "dpll/core/check.h"
#include "train/qualification.h"

namespace dpll {
namespace {

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
int index_of(const RunConfig::Run& run) {
  return run.gpu < 0 ? 0 : run.gpu;
}

int architecture_of(const RunConfig::Run& run) {
  const std::vector<GpuFacts> gpus = port_for(run).list();
  for (const GpuFacts& gpu : gpus) {
    if (gpu.index == index_of(run)) return gpu.architecture;
  }
  fail(ExitCode::device, "device = {}:{}: the GPUs are counted from 0 to {}", to_string(run.device), run.gpu,
       gpus.size() - 1);
}

std::string cpu_line(const cpu::ThreadChoice& threads) {
  return fmt::format("device: cpu, {} thread{}{}, instruction set {}", threads.count,
                     threads.count == 1 ? "" : "s", threads.why.empty() ? "" : " (" + threads.why + ")",
                     cpu_instruction_set());
}

void take_cpu(RunConfig::Run& run, const std::string& why) {
  if (run.precision == Precision::f16 || run.precision == Precision::tf32) {
    fail(ExitCode::device, "precision = {} is for a GPU, and {}; --set run.precision=f32 trains on the CPU",
         to_string(run.precision), why);
  }
  run.device = DeviceChoice::cpu;
  run.gpu = -1;
  if (run.precision == Precision::automatic) run.precision = Precision::f32;
}

std::string name_of(const Qualification& result) {
  return result.gpu.name.empty() ? "the GPU" : fmt::format("cuda:{} ({})", result.gpu.index, result.gpu.name);
}

}  // namespace

Precision automatic_precision(int architecture) {
  constexpr int kHopper = 90;
  return architecture <= kHopper ? Precision::f16 : Precision::bf16;
}

DType compute_type(Precision precision) {
  return precision == Precision::f16 ? DType::f16 : precision == Precision::bf16 ? DType::bf16 : DType::f32;
}

void resolve_devices(RunConfig::Run& run) {
  run.threads = cpu::choose_threads(run.threads).count;
  if (run.device == DeviceChoice::automatic) run.device = DeviceChoice::cpu;
  if (run.precision != Precision::automatic) return;
  run.precision = uses_gpu(run) ? automatic_precision(architecture_of(run)) : Precision::f32;
}

DeviceDecision decide_device(RunConfig& config, const std::string& choices, const Warn& progress,
                             const Warn& warn) {
  RunConfig::Run& run = config.run;
  const cpu::ThreadChoice threads = cpu::choose_threads(run.threads);
  run.threads = threads.count;
  DeviceDecision decision;
  if (!threads.warning.empty()) decision.warnings.push_back(threads.warning);
  const bool automatic = run.device == DeviceChoice::automatic;
  if (run.device == DeviceChoice::cpu) {
    take_cpu(run, "device = cpu");
    decision.line = cpu_line(threads);
    return decision;
  }
  if (automatic && gpu_port() == nullptr) {
    take_cpu(run, "this program was built without CUDA");
    decision.line = cpu_line(threads) + " (this program was built without CUDA)";
    return decision;
  }
  port_for(run);
  if (!run.qualify && !automatic) {
    resolve_devices(run);
    decision.line = fmt::format("device: cuda:{}, {}, not qualified (run.qualify = false)", index_of(run),
                                to_string(run.precision));
    return decision;
  }
  std::vector<std::string> warnings;
  const Qualification result =
      qualify_gpu(config, choices, progress, [&](const std::string& text) { warnings.push_back(text); });
  if (result.outcome == Qualification::Outcome::passed) {
    // Where it fails, that is what there is to say; all that led to it is the self-test's.
    for (const std::string& text : warnings) warn(text);
    run.device = DeviceChoice::cuda;
    run.gpu = result.gpu.index;
    run.precision = result.precision;
    decision.choices = result.choices;
    decision.line =
        fmt::format("device: {}, {}, {}; qualified: {}", name_of(result), to_string(run.precision),
                    automatic ? "chosen by device = auto" : "asked for", result.how);
    return decision;
  }
  const std::string why = result.check.empty() ? result.why : result.check + ": " + result.why;
  const std::string more =
      fmt::format("dpll_engine selftest --device cuda:{} CONFIG shows more", result.gpu.index);
  const bool absent = result.outcome == Qualification::Outcome::absent;
  if (!automatic) {
    if (absent) fail(ExitCode::device, "device = cuda: {}", why);
    fail(ExitCode::device, "device = cuda: {} {}: {}; {}, device = cpu works", name_of(result),
         result.outcome == Qualification::Outcome::failed ? "did not qualify" : "cannot be used now", why,
         more);
  }
  take_cpu(run, why);
  decision.line = cpu_line(threads);
  if (absent) {
    decision.line += fmt::format(" ({})", why);
  } else {
    decision.warnings.push_back(
        fmt::format("{} is not used, training goes on on the CPU: {}; {}", name_of(result), why, more));
  }
  return decision;
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
      run.precision == Precision::automatic ? automatic_precision(architecture_of(run)) : run.precision;
  return port.make({.index = index_of(run),
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
