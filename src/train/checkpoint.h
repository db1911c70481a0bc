// Checkpoints: everything needed to go on bit-identically, in one safetensors file with a SHA-256 of its
// contents.
//
// Tensors   model/<name>, velocity/<name>, average/<name> (with EMA), running statistics under model/,
//           targets [N, C], total_metrics [12] (the unfinished epoch's sums), history [epochs, columns],
//           selected_model [bytes] (with a selected epoch: that model's whole file)
// Metadata  format, the resolved config, what ties the file to its run (network, data, candidates), epoch,
//           step (that of the end where the epoch is trained and not yet evaluated), seconds, columns of the
//           history, selected epoch, skipped steps, rollbacks and failures behind it, loss scale and good
//           steps behind it
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/model/model_state.h"
#include "dpll/run_charts.h"
#include "dpll/safetensors.h"
#include "train/run_folder.h"
#include "train/training_step.h"

namespace dpll {

// The model of the best epoch so far by [evaluation] selection.
struct SelectedModel {
  int epoch = 0;                    // from 1; 0: none
  std::vector<std::uint8_t> bytes;  // of model_selected.safetensors
};

// Where a run stands: the next step to do.
struct Progress {
  int epoch = 0;                   // 0-based
  std::int64_t step_in_epoch = 0;  // all of them: the epoch is trained and not yet evaluated
  double epoch_seconds = 0;        // of training, already spent in this epoch
  double total_seconds = 0;        // that the user has waited for the run, in all its processes
  std::int64_t skipped_steps = 0;  // of this epoch, for a gradient that was not finite
  int rollbacks = 0;               // of the run, each of which halved the learning rate
  int failures_here = 0;           // so often it could not be gone on from the newest checkpoint
  History history;                 // a row per finished epoch
  SelectedModel selected;
};

// What must agree between a checkpoint and the run that resumes from it, by name, for example "network" ->
// "WRN-28-2".
using RunIdentity = std::map<std::string, std::string>;
RunIdentity run_identity(const RunConfig& config, const Network& network, const DataSet& data,
                         const CandidateSets& candidates);

// The part of a checkpoint that training goes on from: parameters, velocities, averages, running statistics,
// the epoch's sums, the loss scale. Not the targets.
void add_training_state(SafetensorsWriter& writer, const ModelState& model, const TrainingStep& step);
// Error(data) where the file does not fit.
void restore_training_state(const SafetensorsFile& file, ModelState& model, TrainingStep& step);
// A number among the metadata; Error(data) where it is missing or none.
std::int64_t integer_metadata(const SafetensorsFile& file, const std::string& key);

// Writes folder/checkpoint.safetensors: temporary file, sync, rename; the one before is kept under its own
// name, or with `replaces` given up.
void save_checkpoint(const RunFolder& folder, const RunConfig& config, const RunIdentity& identity,
                     const Progress& progress, const ModelState& model, const TrainingStep& step,
                     bool replaces = false);

// What is to be said of a checkpoint that was read back, one line each.
struct LoadedCheckpoint {
  std::string damage;  // what is wrong with the newest, where the one before it was taken; or empty
  std::vector<std::string> changes;  // settings that may change (an epoch count, for example) but did
};
enum class WhichCheckpoint { newest, previous };
// Reads the newest checkpoint back or, where that is missing or damaged, the one before it. Error(data)
// naming the file and what differs when both are damaged, of another format, or when it belongs to another
// network, data set, candidate sets or to other settings of `identity`, or holds values that cannot be (see
// checkpoint_checks.h). Writes nothing.
LoadedCheckpoint load_checkpoint(const RunFolder& folder, const RunConfig& config,
                                 const RunIdentity& identity, Progress& progress, ModelState& model,
                                 TrainingStep& step, WhichCheckpoint which = WhichCheckpoint::newest);
// Gives a newest checkpoint that is damaged another name, so that the good one before it is not replaced by
// it.
void set_damaged_checkpoint_aside(const RunFolder& folder);

// The plain state dict (values or averages, and the running statistics): the bytes of its file, or written
// atomically.
std::vector<std::uint8_t> model_bytes(const ModelState& model, ModelState::Array array,
                                      const std::map<std::string, std::string>& metadata);
void save_model(const std::string& path, const ModelState& model, ModelState::Array array,
                const std::map<std::string, std::string>& metadata);
// Loads a state dict that save_model() or PyTorch wrote. Error(data) when it does not fit, does not match its
// digest (one of PyTorch or of an earlier version has none), or holds what check_parameters() refuses.
void load_model(const std::string& path, ModelState& model);

}  // namespace dpll
