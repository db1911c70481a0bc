#include "data/folder_labels.h"

#include <string>
#include <string_view>

#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(folder_labels, ExitCode::data) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const FolderLabels labels = parse_folder_labels(text, "f", {});
  const int classes = static_cast<int>(labels.classes.size());
  fuzz::require(classes >= 2 && !labels.rows.empty(), "an empty table");
  for (const FolderLabels::Row& row : labels.rows) {
    fuzz::require(row.label >= -1 && row.label < classes, "a label");
    for (const int label : row.candidates) fuzz::require(label >= 0 && label < classes, "a candidate");
  }
}
