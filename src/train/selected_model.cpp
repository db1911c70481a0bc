#include "train/selected_model.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "dpll/core/check.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "train/summary.h"

namespace dpll {

int SelectedModelFile::best_epoch_of(const History& history) const {
  const std::optional<EpochChoice> best = best_epoch(history, selection_column(rule_));
  return best ? best->epoch : 0;
}

void SelectedModelFile::restore(Progress& progress) const {
  const int best = best_epoch_of(progress.history);
  if (best == 0) return;
  SelectedModel& selected = progress.selected;
  if (selected.epoch == 0 && folder_.has(run_files::kSelectedModel)) {
    const std::string path = folder_.file(run_files::kSelectedModel);
    selected = {static_cast<int>(integer_metadata(SafetensorsFile::read(path), "epochs")), read_file(path)};
  }
  if (selected.epoch == best) return;
  fail(ExitCode::config,
       "evaluation.selection = {} selects epoch {}, whose model was not kept: {}; "
       "resume with the rule with which the run began",
       to_string(rule_), best,
       selected.epoch > 0 ? fmt::format("there is that of epoch {}", selected.epoch) : "there is none");
}

void SelectedModelFile::write(const SelectedModel& selected) {
  if (selected.epoch == on_disk_) return;
  const std::string path = folder_.file(run_files::kSelectedModel);
  if (selected.epoch > 0) {
    write_file_atomically(path, selected.bytes.data(), selected.bytes.size());
  } else {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);  // its epoch is lost
  }
  on_disk_ = selected.epoch;
}

}  // namespace dpll
