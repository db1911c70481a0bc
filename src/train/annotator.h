// The annotator of instance-dependent candidate sets: a network that learns the true labels, whose mistakes
// then decide which wrong labels join the sets.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/data.h"

namespace dpll {

using Say = std::function<void(const std::string&)>;  // takes one line of progress

// The annotator's logits for every training sample, [train.count, classes], in data-set order. It is trained
// as [annotator] says, by cross entropy on the weak views; or read from the cache, which holds what the same
// data and settings gave before. A cached file that is damaged or belongs to other data or settings is
// left out with a line that says why, and written anew. Training keeps checkpoints beside the cache and goes
// on from them; throws Stopped where that is requested, with a checkpoint. Deterministic for the same number
// of threads. Every training sample needs its true label. Error(config) where the network does not fit the
// images, Error(run) when training does not stay finite or the cache cannot be written.
std::vector<float> annotator_logits(const RunConfig& config, const DataSet& data, const Say& say);

}  // namespace dpll
