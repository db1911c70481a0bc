// The annotator of instance-dependent candidate sets: a network is trained on the true labels, and the wrong
// labels that it finds likely are then added to the sets more often.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/make_backend.h"
#include "dpll/config.h"
#include "dpll/data.h"
#include "dpll/ranks.h"

namespace dpll {

using Say = std::function<void(const std::string&)>;  // takes one line of progress

// The ranks that train the annotator together, and the maker of their backends; null: this process alone.
struct AnnotatorRanks {
  Ranks* ranks = nullptr;
  BackendMaker maker = {};
};

// The annotator's logits for every training sample, [train.count, classes], in data-set order. The annotator
// is trained with cross entropy on the weak views, with the keys of [annotator]. If the cache has the output
// of the same data and settings, that is read instead. A cached file that is damaged or belongs to other data
// or settings is replaced, and a line says why. Training writes checkpoints next to the cache and is resumed
// from them; if a stop is requested, it writes a checkpoint and throws Stopped. Deterministic for the same
// number of threads. Every training sample needs its true label. Error(config) if the network does not fit
// the images, Error(run) if the training does not stay finite or the cache cannot be written.
// Collective; rank 0 reads and writes the files, and has the lines.
std::vector<float> annotator_logits(const RunConfig& config, const DataSet& data, const Say& say,
                                    const AnnotatorRanks& with = {});

}  // namespace dpll
