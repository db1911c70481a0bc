// Checkpoints: everything needed to go on bit-identically, in one safetensors file with a SHA-256 of its
// contents.
//
// Tensors   model/<name>, velocity/<name>, average/<name> (with EMA), running statistics under model/,
// targets [N, C],
//           total_metrics [12] (the unfinished epoch's sums)
// Metadata  format, the resolved config, what ties the file to its run (network, data, candidates), epoch,
// step,
//           seconds, history, skipped steps, loss scale and good steps behind it
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/model/model_state.h"
#include "dpll/run_charts.h"
#include "train/run_folder.h"
#include "train/training_step.h"

namespace dpll {

// Where a run stands: the next step to do.
struct Progress {
  int epoch = 0;  // 0-based
  std::int64_t step_in_epoch = 0;
  double epoch_seconds = 0;        // already spent in this epoch
  double total_seconds = 0;        // spent in finished epochs
  std::int64_t skipped_steps = 0;  // of this epoch, for a gradient that was not finite
  History history;                 // a row per finished epoch
};

// What must agree between a checkpoint and the run that resumes from it, by name, for example "network" ->
// "WRN-28-2".
using RunIdentity = std::map<std::string, std::string>;
RunIdentity run_identity(const RunConfig& config, const Network& network, const DataSet& data,
                         const CandidateSets& candidates);

// Writes folder/checkpoint.safetensors: temporary file, sync, rename; the one before is kept under its own
// name.
void save_checkpoint(const RunFolder& folder, const RunConfig& config, const RunIdentity& identity,
                     const Progress& progress, const ModelState& model, const TrainingStep& step);

// What is to be said of a checkpoint that was read back, one line each.
struct LoadedCheckpoint {
  std::string damage;  // what is wrong with the newest, where the one before it was taken; or empty
  std::vector<std::string> changes;  // settings that may change (an epoch count, for example) but did
};
// Reads the newest checkpoint back or, where that is missing or damaged, the one before it. Error(data)
// naming the file and what differs when both are damaged, of another format, or when it belongs to another
// network, data set, candidate sets or to other settings of `identity`, or holds values that cannot be (see
// checkpoint_checks.h). Writes nothing.
LoadedCheckpoint load_checkpoint(const RunFolder& folder, const RunConfig& config,
                                 const RunIdentity& identity, Progress& progress, ModelState& model,
                                 TrainingStep& step);
// Gives a newest checkpoint that is damaged another name, so that the good one before it is not replaced by
// it.
void set_damaged_checkpoint_aside(const RunFolder& folder);

// Writes the plain state dict (values or averages, and the running statistics) with a digest, atomically.
void save_model(const std::string& path, const ModelState& model, ModelState::Array array,
                const std::map<std::string, std::string>& metadata);
// Loads a state dict that save_model() or PyTorch wrote. Error(data) when it does not fit, does not match its
// digest (one of PyTorch or of an earlier version has none), or holds what check_parameters() refuses.
void load_model(const std::string& path, ModelState& model);

}  // namespace dpll
