// The devices of the ranks of a run: one GPU for each, or CPUs for all.
#pragma once

#include "dpll/config.h"
#include "dpll/ranks.h"
#include "report/log.h"
#include "train/run_folder.h"

namespace dpll {

// As decide_run_device() (train/run_device.h), for this rank among `ranks`, which then have agreed: a rank's
// GPU is the one with its number among the ranks of its machine, or the only one that its launcher lets it
// see. Collective. Error(config) where run.device names a GPU for several ranks of one machine; Error(device)
// where there are too few GPUs, where two ranks would share one, and where some ranks would train on CPUs and
// others on GPUs.
std::string decide_rank_device(RunConfig& config, const RunFolder& folder, Log& log, bool resumes,
                               Ranks& ranks);

}  // namespace dpll
