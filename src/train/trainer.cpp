#include "train/trainer.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "dpll/files.h"
#include "report/log.h"
#include "train/device_check.h"
#include "train/rank_devices.h"
#include "train/run_device.h"
#include "train/run_trainer.h"
#include "train/signals.h"

namespace dpll {
namespace {

// The refusals that need nothing but the folder.
void check_folder(const RunConfig& config, const RunFolder& folder) {
  if (config.run.resume == ResumeMode::never && folder.holds_a_run()) {
    fail(ExitCode::run,
         "'{}' already holds a run, which is not overwritten: use --resume to go on with it, or --set "
         "run.name=... for a "
         "new one",
         folder.path());
  }
  if (config.run.resume == ResumeMode::require && !folder.can_be_resumed()) {
    fail(ExitCode::run, "'{}' has no checkpoint to resume from; without --resume it begins anew",
         folder.path());
  }
}

// Of a rank that writes nothing: rank 0 trains in the same folder and has looked at it.
int train_along(RunConfig config, const BackendMaker& maker, Ranks& ranks, Trainer::Clock::time_point start) {
  std::uint8_t resumes = 0;
  ranks.broadcast(&resumes, 1);
  config.run.lock = false;
  config.run.resume = resumes != 0 ? ResumeMode::require : ResumeMode::never;
  const RunFolder folder(config.run);
  Log log{Log::Silent{}};
  try {
    const std::string choices = decide_rank_device(config, folder, log, resumes != 0, ranks);
    return Trainer(config, folder, log, maker, choices, start, &ranks).run([] {});
  } catch (const Stopped& stopped) {
    return stopped.exit_code();
  }
}

}  // namespace

int train(RunConfig config, const BackendMaker& maker, Ranks* ranks) {
  const Trainer::Clock::time_point start = Trainer::Clock::now();
  if (config.run.device == DeviceChoice::check) {
    if (ranks != nullptr)
      fail(ExitCode::config, "run.device = check compares one process's devices: start it alone");
    return check_devices(config, maker, [](const std::string& line) { fmt::print("{}\n", line); });
  }
  const StopSignals signals(config.run.max_hours);
  const SharedStops shared_stops(ranks);
  if (ranks != nullptr && ranks->rank() > 0) return train_along(std::move(config), maker, *ranks, start);
  const RunFolder folder(config.run, config.run.resume == ResumeMode::require);
  check_folder(config, folder);
  const bool resumes = config.run.resume != ResumeMode::never && folder.can_be_resumed();
  if (ranks != nullptr) {
    std::uint8_t told = resumes ? 1 : 0;
    ranks->broadcast(&told, 1);
  }
  // Nothing is written before a resume is accepted, so a refused one leaves every file as it was.
  Log log(folder.file(run_files::kLog), config.log.progress, resumes);
  for (const std::string& note : folder.notes()) log.line(note);
  try {
    // The resolved configuration repeats the run, so it has the device that `auto` chose.
    const int gpu = config.run.gpu;
    const std::string choices = ranks != nullptr ? decide_rank_device(config, folder, log, resumes, *ranks)
                                                 : decide_run_device(config, folder, log, resumes);
    Trainer trainer(config, folder, log, maker, choices, start, ranks);
    // --resume belongs to this process. In config.ini it would prevent the start of another run.
    RunConfig kept = config;
    kept.run.gpu = gpu;  // another one may be free the next time, unless the user has named it
    if (kept.run.resume == ResumeMode::require) kept.run.resume = ResumeMode::never;
    return trainer.run([&] {
      log.release();
      write_file_atomically(folder.file(run_files::kConfig), to_ini(kept));
    });
  } catch (const Stopped& stopped) {
    log.line(fmt::format("{} before the first step; the same command begins it again", stopped.what()));
    return stopped.exit_code();
  } catch (const Error& error) {
    log.detail(std::string("error: ") + error.what());
    throw;
  }
}

}  // namespace dpll
