#include "train/listeners.h"

#include <fmt/format.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>

#include "dpll/backend.h"
#include "dpll/chart.h"
#include "report/contact_sheet.h"
#include "report/listeners.h"
#include "report/view_sheet.h"
#include "train/forecast.h"
#include "train/summary.h"

namespace dpll {
namespace {

RunLength length_of(const Session& session) {
  const RunConfig& config = session.config;
  return {.network = session.network->name(),
          .gpu = session.backend->is_gpu(),
          .steps_per_epoch = session.step.steps_per_epoch(),
          .epochs = config.run.epochs,
          .max_steps = config.run.max_steps,
          .evaluation_every = config.evaluation.every,
          .evaluation_steps =
              evaluation_in_steps(session.evaluation.images(), config.optimiser.batch, views_of(config))};
}

// The image of `dpll_engine preview` for the samples of the run. TensorBoard's file is also useful without
// it.
std::optional<EventImage> image_of_views(const Session& session, Log& log) {
  constexpr int kSamples = 8;
  if (session.data.train.tabular()) return std::nullopt;
  // Another CPU backend would set the number of threads for the whole process.
  std::unique_ptr<Backend> beside_gpu;
  if (!session.backend->host_addressable())
    beside_gpu = make_cpu_backend({.threads = session.config.run.threads});
  try {
    const report::Canvas canvas = report::draw_contact_sheet(view_sheet(
        session.config, session.views, session.data, kSamples, beside_gpu ? *beside_gpu : *session.backend));
    return EventImage{.tag = "views",
                      .width = canvas.width(),
                      .height = canvas.height(),
                      .png = encode_png(canvas.width(), canvas.height(), 3, canvas.pixels().data())};
  } catch (const std::exception& error) {
    log.warning(fmt::format("TensorBoard will not show the views: {}", error.what()));
    return std::nullopt;
  }
}

}  // namespace

RunListeners make_listeners(const Session& session, const RunFolder& folder, Log& log) {
  const RunConfig& config = session.config;
  const std::int64_t images = session.step.samples() * views_of(config);
  RunListeners listeners(log);
  listeners.add(make_log_listener(log, length_of(session), images));
  listeners.add(make_metrics_listener(folder.path()));
  listeners.add(make_steps_listener(folder.path(), config.log.steps));
  if (config.log.charts) listeners.add(make_charts_listener(folder.path(), config.run.name));
  if (config.log.tensorboard) {
    listeners.add(make_tensorboard_listener(folder.path(), image_of_views(session, log)));
  }
  listeners.add(make_summary_listener(session, folder.file(run_files::kSummary), log));
  return listeners;
}

}  // namespace dpll
