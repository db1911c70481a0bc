// What follows a run is decided here, and here alone.
#pragma once

#include "report/log.h"
#include "report/run_listener.h"
#include "train/run_folder.h"
#include "train/session.h"

namespace dpll {

// Log, metrics, steps, charts, TensorBoard and summary, as the configuration wants them, in the order in
// which they are told. All three arguments must live as long.
RunListeners make_listeners(const Session& session, const RunFolder& folder, Log& log);

}  // namespace dpll
