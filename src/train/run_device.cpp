#include "train/run_device.h"

#include "dpll/core/check.h"
#include "train/devices.h"

namespace dpll {
namespace {

// Values that the user leaves open are those that were chosen when the run began.
void keep_device(RunConfig::Run& run, const RunFolder& folder) {
  const bool open = run.device == DeviceChoice::automatic || run.threads == 0;
  if (!open || !folder.has(run_files::kConfig)) return;
  const RunConfig kept = load_config(folder.file(run_files::kConfig), {});
  if (run.threads == 0) run.threads = kept.run.threads;
  if (run.device != DeviceChoice::automatic) return;
  run.device = kept.run.device;
  if (run.precision == Precision::automatic) run.precision = kept.run.precision;
}

}  // namespace

std::string decide_run_device(RunConfig& config, const RunFolder& folder, Log& log, bool resumes) {
  if (resumes) keep_device(config.run, folder);
  const std::string known = folder.tuning();
  DeviceDecision decision;
  try {
    decision = decide_device(
        config, known, [&](const std::string& text) { log.status(text); },
        [&](const std::string& text) { log.warning(text); });
  } catch (const Error& error) {
    log.clear_bar();
    if (!resumes || error.code() != ExitCode::device) throw;
    fail(ExitCode::device,
         "{} (the run began on {}; to go on on the CPU: --set run.device=cpu --set run.precision=f32)",
         error.what(), to_string(config.run.device));
  }
  log.line(decision.line);
  for (const std::string& warning : decision.warnings) log.warning(warning);
  return decision.choices.empty() ? known : decision.choices;
}

}  // namespace dpll
