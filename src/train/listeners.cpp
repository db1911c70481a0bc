#include "train/listeners.h"

#include <cstdint>

#include "report/listeners.h"
#include "train/forecast.h"
#include "train/summary.h"

namespace dpll {
namespace {

RunLength length_of(const Session& session) {
  const RunConfig& config = session.config;
  return {.network = session.network->name(),
          .gpu = !session.backend->host_addressable(),
          .steps_per_epoch = session.step.steps_per_epoch(),
          .epochs = config.run.epochs,
          .evaluation_every = config.evaluation.every,
          .evaluation_steps = evaluation_in_steps(session.evaluation.images(), config.optimiser.batch,
                                                  config.views.strong + 1)};
}

}  // namespace

RunListeners make_listeners(const Session& session, const RunFolder& folder, Log& log) {
  const RunConfig& config = session.config;
  const std::int64_t images = session.step.samples() * (config.views.strong + 1);
  RunListeners listeners(log);
  listeners.add(make_log_listener(log, length_of(session), images));
  listeners.add(make_metrics_listener(folder.path()));
  listeners.add(make_steps_listener(folder.path(), config.log.steps));
  if (config.log.charts) listeners.add(make_charts_listener(folder.path(), config.run.name));
  listeners.add(make_summary_listener(session, folder.file(run_files::kSummary), log));
  return listeners;
}

}  // namespace dpll
