#include "train/devices.h"

#include <fmt/format.h>

#include <vector>

#include "backend/cpu/usable_threads.h"
#include "backend/gpu_port.h"
#include "dpll/core/check.h"
#include "train/qualification.h"

namespace dpll {
namespace {

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

void resolve_devices(RunConfig::Run& run) {
  run.threads = cpu::choose_threads(run.threads).count;
  if (run.device == DeviceChoice::automatic) run.device = DeviceChoice::cpu;
  if (run.precision != Precision::automatic) return;
  run.precision = uses_gpu(run) ? automatic_precision(gpu_architecture(run)) : Precision::f32;
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
    decision.line = fmt::format("device: cuda:{}, {}, not qualified (run.qualify = false)", gpu_index(run),
                                to_string(run.precision));
    return decision;
  }
  std::vector<std::string> warnings;
  const Qualification result =
      qualify_gpu(config, choices, progress, [&](const std::string& text) { warnings.push_back(text); });
  if (result.outcome == Qualification::Outcome::passed) {
    // If the test fails, the log only has its result; `selftest` shows the details.
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
        fmt::format("{} is not used, training continues on the CPU: {}; {}", name_of(result), why, more));
  }
  return decision;
}

}  // namespace dpll
