#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "cli/tuning_table.h"
#include "dpll/data.h"
#include "dpll/model/network.h"
#include "train/trainer.h"

namespace dpll {
namespace {

// Sizes of the passes over `count` samples: the full one, and what is left at the end.
std::vector<int> batch_sizes(std::int64_t count, int batch, bool with_rest) {
  std::vector<int> sizes;
  if (count >= batch) sizes.push_back(batch);
  if ((with_rest || sizes.empty()) && count % batch != 0) sizes.push_back(static_cast<int>(count % batch));
  return sizes;
}

}  // namespace

int tune_command(const TuneArguments& arguments) {
  RunConfig config = arguments.config;
  config.run.device = DeviceChoice::cuda;
  config.run.tuning = true;
  const std::unique_ptr<Backend> backend = make_backend(config.run);
  const DataSet data = load_data(config);
  const std::unique_ptr<Network> network =
      make_network(*backend, config.model,
                   {static_cast<int>(data.train.height), static_cast<int>(data.train.width),
                    static_cast<int>(data.train.channels), data.classes},
                   false);
  // An operation decides which ways it uses when it is made.
  for (const int batch : batch_sizes(data.train.count, config.optimiser.batch, !config.optimiser.drop_last)) {
    network->make_program({Mode::train, config.views.strong + 1, batch});
  }
  for (const ImageSet* images : {&data.test, &data.validation}) {
    for (const int batch : batch_sizes(images->count, config.evaluation.batch, true)) {
      network->make_program({Mode::eval, 1, batch});
    }
  }
  std::printf("%s", tuning_table(backend->tuning_choices(), arguments.all).c_str());
  return 0;
}

}  // namespace dpll
