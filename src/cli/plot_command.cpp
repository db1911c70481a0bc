#include <filesystem>
#include <utility>

#include "cli/commands.h"
#include "dpll/run_charts.h"

namespace dpll {

int plot_command(const PlotArguments& arguments) {
  std::vector<std::pair<std::string, History>> runs;
  for (const std::string& run : arguments.runs) {
    std::filesystem::path folder(run);
    if (!folder.has_filename()) folder = folder.parent_path();  // "runs/a/"
    runs.emplace_back(folder.filename().string(), read_metrics_csv(run + "/metrics.csv"));
  }
  write_png(compare_runs_chart(runs, arguments.column), arguments.out);
  return 0;
}

}  // namespace dpll
