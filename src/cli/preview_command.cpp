// Draws the views of the first epoch as the CPU backend makes them.
#include <cstdio>

#include "cli/commands.h"
#include "dpll/backend.h"
#include "dpll/chart.h"
#include "dpll/data.h"
#include "dpll/views.h"
#include "io/text.h"
#include "report/contact_sheet.h"
#include "report/view_sheet.h"

namespace dpll {
int preview_command(const PreviewArguments& arguments) {
  const RunConfig& config = arguments.config;
  const DataSet data = load_data(config);
  for (const std::string& warning : data.warnings)
    std::fprintf(stderr, "warning: %s\n", escaped(warning).c_str());
  const ImageSet& train = data.train;
  if (train.tabular())
    fail(ExitCode::config, "preview draws images; the samples of {} are feature vectors", config.data.path);
  const ViewSetup views = resolve_views(config, static_cast<int>(train.height), static_cast<int>(train.width),
                                        static_cast<int>(train.channels));
  const report::ContactSheet sheet =
      view_sheet(config, views, data, arguments.samples, *make_cpu_backend({.threads = 1}));
  const report::Canvas canvas = report::draw_contact_sheet(sheet);
  write_png(arguments.out, canvas.width(), canvas.height(), 3, canvas.pixels().data());
  std::printf("%d views of %d images, written to %s\n", views_of(config), static_cast<int>(sheet.rows.size()),
              escaped(arguments.out).c_str());
  return 0;
}

}  // namespace dpll
