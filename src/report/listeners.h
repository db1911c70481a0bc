// All listeners; src/train/listeners.cpp chooses the listeners of a run.
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

// In all functions `folder` is the folder of the run.

// Logs one line per epoch with its warnings and the forecast, and draws the progress bar on a terminal.
// `run`: the length of the whole run; the finished steps and whether it was resumed come from the states. If
// the log cannot be written, the run ends.
std::unique_ptr<RunListener> make_log_listener(Log& log, const RunLength& run, std::int64_t images_per_epoch);

// metrics.csv and metrics.jsonl. Each epoch appends a row, so its cost does not grow with the number of
// epochs. If that fails, both files are written again.
std::unique_ptr<RunListener> make_metrics_listener(const std::string& folder);

// steps.csv: "step,epoch,loss,supervised_loss,consistency_loss,lr,lambda" every `every` steps. 0: no new
// rows, but the rows of steps that will be done again are removed from an existing file.
std::unique_ptr<RunListener> make_steps_listener(const std::string& folder, std::int64_t every);

// loss.png, accuracy.png and schedule.png. They are drawn at most every few seconds, and drawing takes only a
// small share of the time.
std::unique_ptr<RunListener> make_charts_listener(const std::string& folder, const std::string& run_name);

// One TensorBoard event file: first `views` as an image, then the values of metrics.csv as scalars with the
// tags of tensorboard_tag() and the epoch as their step. At each start it is written from the history under a
// new name, because a running TensorBoard does not read a part of a file twice; later epochs are appended.
std::unique_ptr<RunListener> make_tensorboard_listener(const std::string& folder,
                                                       const std::optional<EventImage>& views);

}  // namespace dpll
