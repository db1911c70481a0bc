// Checkpoints: everything that a bit-identical resume needs, in one safetensors file with a SHA-256 of its
// contents.
//
// Tensors   model/<name>, velocity/<name>, average/<name> (with EMA), running statistics under model/,
//           targets [N, C], total_metrics [12] (the unfinished epoch's sums), history [epochs, columns],
//           selected_model [bytes] (with a selected epoch: that model's whole file)
// Metadata  format, the resolved config, the identity of the run (network, data, candidates), epoch, step
// (the
//           last one if the epoch is trained but not evaluated), seconds, columns of the history, selected
//           epoch, skipped steps, rollbacks and failures since then, loss scale and good steps since its last
//           change
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

// The progress of a run: the next step to do.
struct Progress {
  int epoch = 0;                   // 0-based
  std::int64_t step_in_epoch = 0;  // the number of steps: the epoch is trained but not evaluated
  double epoch_seconds = 0;        // of training, already spent in this epoch
  double total_seconds = 0;        // that the user has waited for the run, in all its processes
  std::int64_t skipped_steps = 0;  // of this epoch, for a gradient that was not finite
  int rollbacks = 0;               // of the run, each of which halved the learning rate
  int failures_here = 0;           // how often training failed after the newest checkpoint
  History history;                 // one row per finished epoch
  SelectedModel selected;
};

// The properties that must agree between a checkpoint and the run that resumes from it, by name, for example
// "network" -> "WRN-28-2".
using RunIdentity = std::map<std::string, std::string>;
RunIdentity run_identity(const RunConfig& config, const Network& network, const DataSet& data,
                         const CandidateSets& candidates);

// The part of a checkpoint that the training needs: parameters, velocities, averages, running statistics, the
// sums of the epoch, the loss scale; without the targets.
void add_training_state(SafetensorsWriter& writer, const ModelState& model, const TrainingStep& step);
// Error(data) if the file does not fit.
void restore_training_state(const SafetensorsFile& file, ModelState& model, TrainingStep& step);
// A number in the metadata; Error(data) if it is missing or not a number.
std::int64_t integer_metadata(const SafetensorsFile& file, const std::string& key);

// Writes folder/checkpoint.safetensors: temporary file, sync, rename. The previous checkpoint is kept under
// its own name, or removed with `replaces`.
void save_checkpoint(const RunFolder& folder, const RunConfig& config, const RunIdentity& identity,
                     const Progress& progress, const ModelState& model, const TrainingStep& step,
                     bool replaces = false);

// Messages about a checkpoint that was read, one line each.
struct LoadedCheckpoint {
  std::string damage;  // what is wrong with the newest checkpoint if the previous one was read; or empty
  std::vector<std::string> changes;  // settings that differ and may differ, for example the number of epochs
};
enum class WhichCheckpoint { newest, previous };
// Reads the newest checkpoint or, if it is missing or damaged, the previous one. Error(data) names the file
// and the difference if both are damaged, if the format is another one, if the checkpoint belongs to another
// network, data set, candidate sets or other settings of `identity`, or if it has impossible values (see
// checkpoint_checks.h). Writes nothing.
LoadedCheckpoint load_checkpoint(const RunFolder& folder, const RunConfig& config,
                                 const RunIdentity& identity, Progress& progress, ModelState& model,
                                 TrainingStep& step, WhichCheckpoint which = WhichCheckpoint::newest);
// Renames a damaged newest checkpoint, so that it does not replace the good previous one.
void set_damaged_checkpoint_aside(const RunFolder& folder);

// The plain state dict (values or averages, and the running statistics): the bytes of its file, or written
// atomically.
std::vector<std::uint8_t> model_bytes(const ModelState& model, ModelState::Array array,
                                      const std::map<std::string, std::string>& metadata);
void save_model(const std::string& path, const ModelState& model, ModelState::Array array,
                const std::map<std::string, std::string>& metadata);
// Loads a state dict that save_model() or PyTorch wrote. Error(data) if it does not fit, if it does not match
// its digest (files of PyTorch or of an earlier version have none), or if check_parameters() refuses a value.
void load_model(const std::string& path, ModelState& model);

}  // namespace dpll
