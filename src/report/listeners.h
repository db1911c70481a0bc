// The listeners there are; src/train/listeners.cpp decides which of them follow a run.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "report/event_file.h"
#include "report/log.h"
#include "report/run_listener.h"
#include "train/forecast.h"

namespace dpll {

// `folder` is that of the run everywhere.

// The line of an epoch with its warnings, the forecast, and the progress bar on a terminal. `run`: its whole
// length; what is done of it and whether it was resumed is taken from the states. A log that cannot be
// written ends the run.
std::unique_ptr<RunListener> make_log_listener(Log& log, const RunLength& run, std::int64_t images_per_epoch);

// metrics.csv and metrics.jsonl. A row is appended, so that an epoch costs the same however many there are;
// where that fails both files are written again.
std::unique_ptr<RunListener> make_metrics_listener(const std::string& folder);

// steps.csv: "step,epoch,loss,supervised_loss,consistency_loss,lr,lambda" every `every` steps. 0: no rows,
// but those of steps that will be done again are cut from a file that is there.
std::unique_ptr<RunListener> make_steps_listener(const std::string& folder, std::int64_t every);

// loss.png, accuracy.png and schedule.png, every few seconds at most and for a small share of the time.
std::unique_ptr<RunListener> make_charts_listener(const std::string& folder, const std::string& run_name);

// One TensorBoard event file: what metrics.csv has as scalars under the tags of tensorboard_tag(), the epoch
// as their step, and `views` as an image before them. Written anew from the history at each start, under a
// new name, because a running TensorBoard does not look again at what it has read; appended to after that.
std::unique_ptr<RunListener> make_tensorboard_listener(const std::string& folder,
                                                       const std::optional<EventImage>& views);

}  // namespace dpll
