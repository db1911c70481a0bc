#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "cli/tuning_table.h"
#include "dpll/core/check.h"
#include "dpll/data.h"
#include "dpll/model/network.h"
#include "train/devices.h"
#include "train/program_specs.h"

namespace dpll {
namespace {

// HEIGHTxWIDTHxCHANNELS,CLASSES as a data set without pixels: the autotuner only needs the sizes. The number
// of images is that of CIFAR-10, or enough for a full batch.
DataSet made_up_data(const std::string& text, const RunConfig& config) {
  int height = 0, width = 0, channels = 0, classes = 0, end = 0;
  const int found =
      std::sscanf(text.c_str(), "%4dx%4dx%4d,%4d%n", &height, &width, &channels, &classes, &end);
  if (found != 4 || static_cast<std::size_t>(end) != text.size() || std::min({height, width, channels}) < 1 ||
      classes < 2) {
    fail(ExitCode::usage, "--synthetic {}: expected height x width x channels and classes, as in 32x32x3,10",
         text);
  }
  DataSet data;
  data.classes = classes;
  data.train.height = data.test.height = height;
  data.train.width = data.test.width = width;
  data.train.channels = data.test.channels = channels;
  data.train.count = std::max(50000, config.optimiser.batch);
  data.test.count = 10000;
  return data;
}

}  // namespace

int tune_command(const TuneArguments& arguments) {
  RunConfig config = arguments.config;
  DataSet data;
  if (!arguments.synthetic.empty()) {
    config.data = {};
    data = made_up_data(arguments.synthetic, config);
  }
  config.run.device = DeviceChoice::cuda;
  config.run.tuning = true;
  // On a terminal one line shows the current activity. If the command is stopped, finished results are in the
  // cache.
  const bool terminal = isatty(STDERR_FILENO) == 1;
  const auto progress = [terminal](const std::string& text) {
    if (terminal) std::fprintf(stderr, "\r\033[K%s", text.c_str());
  };
  const auto warn = [terminal](const std::string& text) {
    if (terminal) std::fprintf(stderr, "\r\033[K");
    print_warning(text);
  };
  const std::unique_ptr<Backend> backend = make_backend_with_progress(config.run, warn, "", progress);
  if (arguments.synthetic.empty()) data = load_data(config);
  const std::unique_ptr<Network> network =
      make_network(*backend, config,
                   {static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                    static_cast<int>(data.train.channels), data.classes});
  // An operation decides which ways it uses when it is made.
  for (const ProgramSpec& spec : program_specs(config, data)) network->make_program(spec);
  if (terminal) std::fprintf(stderr, "\r\033[K");
  std::printf("%s", tuning_table(backend->tuning_choices(), arguments.all).c_str());
  return 0;
}

}  // namespace dpll
