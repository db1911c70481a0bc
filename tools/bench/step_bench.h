// A training step outside of a run, for benchmarks: everything of a run except its epochs.
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
// colour), with the views that the published experiments use for such images; all other keys have their
// defaults. Error(usage) with `option` for any other name.
RunConfig config_of_model(const std::string& model, const std::string& option = "--model");
// Random images with the size for the configuration's network: `samples` images for training, and the first
// `test_samples` of them for evaluation.
DataSet noise_data(const RunConfig& config, std::int64_t samples, int classes, std::int64_t test_samples);

class StepBench {
 public:
  // `allocate` = false: only plans the memory; then only planned_bytes() may be used.
  StepBench(const RunConfig& config, const DataSet& data, const CandidateSets& candidates,
            bool allocate = true);

  ObservedBackend& backend() { return backend_; }
  Network& network() { return *network_; }
  TrainingStep& step() { return step_; }
  std::optional<Evaluator>& test() { return test_; }
  std::size_t arena_bytes() const { return arena_bytes_; }
  // The backend's memory: activations and everything else.
  std::size_t planned_bytes() const { return other_bytes_ + arena_bytes_; }

  // Seconds of each of `count` steps with full batches, including the trainer's work between them. An
  // asynchronous device gets ten steps at a time.
  std::vector<double> time_steps(int count);
  // Runs `count` steps for a Profile and returns their wall time. A graph has no ranges, so the operations of
  // the step are called one by one.
  double profile_steps(int count);
  // The work of each phase of a step: operations of the network's own channels, bytes of the tensors as the
  // backend stores them.
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
