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

  // The epoch, from 1, that the rule chooses among those that are done; 0: none has its measure.
  int best_epoch_of(const History& history) const;
  // For a run that goes on: `progress.selected` is the model of the epoch which the history names, or
  // Error(config). Checkpoints of earlier versions do not hold it; then it is read from the file.
  void restore(Progress& progress) const;
  // The file as `selected` is: written, or removed where there is none.
  void write(const SelectedModel& selected);

 private:
  const RunFolder& folder_;
  SelectionRule rule_;
  int on_disk_ = -1;  // the epoch whose model the file holds; 0: no file; -1: unknown
};

}  // namespace dpll
