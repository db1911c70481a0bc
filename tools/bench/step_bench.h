// A training step on its own, with everything of a run but its epochs: what the benchmarks of steps time.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/observed_call.h"
#include "train/evaluator.h"
#include "train/training_step.h"

namespace dpll::bench {

// A configuration for a network by its name, lenet (grey images of 28 x 28) or wrn-DEPTH-WIDTH (32 x 32 in
// colour), with the views that the published experiments use for such images; all else as by default.
// Error(usage) naming `option` where the name is another one.
RunConfig config_of_model(const std::string& model, const std::string& option = "--model");
// Noise of the size that the configuration's network takes: `samples` images to train on, and the first
// `test_samples` of them to evaluate.
DataSet noise_data(const RunConfig& config, std::int64_t samples, int classes, std::int64_t test_samples);

class StepBench {
 public:
  // `allocate` = false: only plans, and planned_bytes() is all there is.
  StepBench(const RunConfig& config, const DataSet& data, const CandidateSets& candidates,
            bool allocate = true);

  ObservedBackend& backend() { return backend_; }
  Network& network() { return *network_; }
  TrainingStep& step() { return step_; }
  std::optional<Evaluator>& test() { return test_; }
  std::size_t arena_bytes() const { return arena_bytes_; }
  // Of the backend's memory: activations and all the rest.
  std::size_t planned_bytes() const { return other_bytes_ + arena_bytes_; }

  // Seconds of each of `count` steps of full batches, with what the trainer does between them. A device that
  // works behind the host gets them ten at a time.
  std::vector<double> time_steps(int count);
  // `count` steps for a Profile that listens; their wall time. A graph shows no ranges: there the operations
  // of the step are called one by one.
  double profile_steps(int count);
  // What each phase of a step must do.
  std::map<std::string, Work> count_work();

 private:
  void begin_epoch();

  std::unique_ptr<Backend> made_;
  ObservedBackend backend_;
  ViewSetup views_;
  std::unique_ptr<Network> network_;
  TrainingStep step_;
  std::int64_t full_steps_ = 0, next_ = 0;
  std::optional<Evaluator> test_;
  std::size_t arena_bytes_ = 0, other_bytes_ = 0;
  Buffer arena_;
};

}  // namespace dpll::bench
