// The evaluation of a run after an epoch: test, validation and held-out part, and the averaged weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/data.h"
#include "dpll/model/network.h"
#include "dpll/views.h"
#include "train/evaluator.h"
#include "train/selection.h"
#include "train/test_scores.h"

namespace dpll {

// NaN if there is no such part or the epoch was not evaluated.
struct EpochScores {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double test_loss = kNone, test_accuracy = kNone;
  double validation_loss = kNone, validation_accuracy = kNone;
  double average_test_accuracy = kNone;  // of the averaged weights
  SelectionScores selection{kNone, kNone};
  TestScores test = {};
  std::vector<std::string> warnings = {};  // what was not finite, one line each
};

class RunEvaluation {
 public:
  // Copies the samples to the backend. With ranks, run() is collective. long_tailed: of TestScorer.
  // `held_out` must outlive the object. It may be empty, and so may test and validation.
  RunEvaluation(Backend& backend, Network& network, const ViewSetup& views, const DataSet& data,
                const SelectionPart& held_out, int batch, bool long_tailed = false, Ranks* ranks = nullptr);

  std::size_t arena_bytes() const;
  void attach(void* arena);  // may be shared with programs that do not run at the same time
  std::int64_t held_out() const { return held_out_.images.count; }
  // Images that one run() computes.
  std::int64_t images() const;
  // Throws Stopped between two batches if a stop is requested; the network is then unchanged.
  EpochScores run();

 private:
  Network& network_;
  const SelectionPart& held_out_;
  std::unique_ptr<Evaluator> test_, validation_, selection_;
  std::int64_t test_images_, validation_images_;
  TestScorer scorer_;
};

}  // namespace dpll
