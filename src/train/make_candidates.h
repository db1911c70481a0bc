// From the configuration to the candidate sets of a run.
#pragma once

#include "dpll/candidates.h"
#include "dpll/config.h"
#include "dpll/data.h"
#include "train/annotator.h"

namespace dpll {

// Makes the candidate sets of [candidates] for the training split of `data`. Error(config) if the data set
// lacks something that the mode needs, Error(data) for wrong files. mode = instance may train a network
// first, with the ranks that there are; `say` then receives its messages.
CandidateSets make_candidates(const RunConfig& config, const DataSet& data, const Say& say,
                              const AnnotatorRanks& with = {});

}  // namespace dpll
