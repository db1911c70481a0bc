// The only place that chooses the listeners of a run.
#pragma once

#include "report/log.h"
#include "report/run_listener.h"
#include "train/run_folder.h"
#include "train/session.h"

namespace dpll {

// Log, metrics, steps, charts, TensorBoard and summary, as the configuration says, in the order in which they
// are called. All three arguments must outlive the result.
RunListeners make_listeners(const Session& session, const RunFolder& folder, Log& log);

}  // namespace dpll
