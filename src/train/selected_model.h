// model_selected.safetensors: the model of the best epoch so far, chosen without looking at true labels.
#pragma once

#include "dpll/config.h"
#include "dpll/run_charts.h"
#include "train/checkpoint.h"
#include "train/run_folder.h"

namespace dpll {

class SelectedModelFile {
 public:
  SelectedModelFile(const RunFolder& folder, SelectionRule rule) : folder_(folder), rule_(rule) {}

  // The epoch, from 1, that the rule selects among the finished ones; 0 if none has the rule's measure.
  int best_epoch_of(const History& history) const;
  // For a resumed run: makes sure that `progress.selected` is the model of the epoch that the history
  // selects, or throws Error(config). Checkpoints of earlier versions do not have it; it is then read from
  // the file.
  void restore(Progress& progress) const;
  // Writes the file of `selected`, or removes it if there is none.
  void write(const SelectedModel& selected);

 private:
  const RunFolder& folder_;
  SelectionRule rule_;
  int on_disk_ = -1;  // the epoch whose model is in the file; 0: no file; -1: unknown
};

}  // namespace dpll
