#include "dpll/run_charts.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(metrics_csv, ExitCode::data) {
  const fuzz::MemoryFile file(bytes);
  const History history = read_metrics_csv(file.path());
  for (const std::vector<double>& row : history.rows) {
    fuzz::require(row.size() == history.columns.size(), "sizes");
  }
}
