#include <unistd.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/tuning_table.h"
#include "dpll/data.h"
#include "dpll/model/network.h"
#include "train/devices.h"
#include "train/program_specs.h"

namespace dpll {
int tune_command(const TuneArguments& arguments) {
  RunConfig config = arguments.config;
  config.run.device = DeviceChoice::cuda;
  config.run.tuning = true;
  // On a terminal one line says what is being timed. Stopped in the middle, what was found out is kept in the
  // cache.
  const bool terminal = isatty(STDERR_FILENO) == 1;
  const auto progress = [terminal](const std::string& text) {
    if (terminal) std::fprintf(stderr, "\r\033[K%s", text.c_str());
  };
  const auto warn = [terminal](const std::string& text) {
    print_warning((terminal ? "\r\033[K" : "") + text);
  };
  const std::unique_ptr<Backend> backend = make_backend_with_progress(config.run, warn, "", progress);
  const DataSet data = load_data(config);
  const std::unique_ptr<Network> network =
      make_network(*backend, config.model,
                   {static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                    static_cast<int>(data.train.channels), data.classes},
                   false);
  // An operation decides which ways it uses when it is made.
  for (const ProgramSpec& spec : program_specs(config, data)) network->make_program(spec);
  if (terminal) std::fprintf(stderr, "\r\033[K");
  std::printf("%s", tuning_table(backend->tuning_choices(), arguments.all).c_str());
  return 0;
}

}  // namespace dpll
