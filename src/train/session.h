// The objects of a run: data, candidate sets, backend, network, training step and evaluation. The trainer
// runs the epochs with them.
#pragma once

#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <vector>

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
  // Loads and builds all of them and describes them in the log. `choices`: Backend::tuning_choices() to
  // repeat, or empty. Throws the errors of the files that it loads, Error(device) if there is not enough
  // memory, and Stopped during the training of an annotator.
  // With ranks: on all of them; Error(data or config) where they have not the same data, sets and settings.
  Session(const RunConfig& config, Log& log, const BackendMaker& maker, const std::string& choices,
          Ranks* ranks = nullptr);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The metadata of a model file after `epochs` epochs.
  std::map<std::string, std::string> model_metadata(int epochs) const;

  // Of each training sample the probability that the network, in evaluation mode, gives to labels outside of
  // its candidate set. Throws Stopped if a stop is requested.
  std::vector<float> missed_masses();

  // Is the mean of the targets an estimate of the classes' shares? Not where the true labels are learnt.
  bool has_priors() const { return !facts_of(method_of(config)).needs_labels; }

  const RunConfig& config;
  Ranks* ranks;
  std::vector<std::string> hosts, devices, processes;  // of all ranks; devices: Backend::description()
  // Of all ranks, at the end: seconds in collective functions, and their share of the process's time.
  std::vector<double> waited, waited_shares;
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
  // Destroyed first: what waits for other ranks must end before the memory that it works on.
  struct Farewell {
    Backend* backend;
    ~Farewell() {
      if (std::uncaught_exceptions() > 0) backend->leave_ranks();
    }
  } farewell{backend.get()};

 private:
  void provide_activations();
  std::vector<std::string> texts_of_ranks(const std::string& own) const;  // collective
  void compare_ranks() const;
  void log_contents(Log& log) const;
};

}  // namespace dpll
