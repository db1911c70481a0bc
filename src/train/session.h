// What a run works with, loaded and built: data, candidate sets, backend, network, the training step, the
// evaluation. The trainer makes the epochs of it.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "dpll/backend.h"
#include "dpll/candidates.h"
#include "dpll/config.h"
#include "dpll/data.h"
#include "dpll/model/network.h"
#include "dpll/views.h"
#include "report/log.h"
#include "train/checkpoint.h"
#include "train/devices.h"
#include "train/run_evaluation.h"
#include "train/selection.h"
#include "train/training_step.h"

namespace dpll {

struct Session {
  // Says in the log what there is. `choices`: Backend::tuning_choices() to repeat, or empty. Errors of all
  // that it loads; Error(device) where memory does not suffice; throws Stopped while an annotator trains.
  Session(const RunConfig& config, Log& log, const BackendMaker& maker, const std::string& choices);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Of a model file after so many epochs.
  std::map<std::string, std::string> model_metadata(int epochs) const;

  const RunConfig& config;
  DataSet data;
  CandidateSets candidates;
  SelectionPart held_out;
  std::unique_ptr<Backend> backend;
  std::size_t memory_at_start;  // bytes, of the backend
  ViewSetup views;
  std::unique_ptr<Network> network;
  TrainingStep step;
  RunEvaluation evaluation;
  Buffer arena;  // of the activations: steps and evaluations take turns in it
  RunIdentity identity;

 private:
  void provide_activations();
  void log_contents(Log& log) const;
};

}  // namespace dpll
