// Every configuration that ships with the project parses, and those of the paper hold its settings.
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "dpll/config.h"
#include "support/doctest.h"

using namespace dpll;
namespace fs = std::filesystem;

namespace {

const std::string kConfigs = DPLL_SOURCE_DIR "/configs";

// As in the published code: rates by set, the network by set.
const std::set<double> kRates = {0.1, 0.3, 0.5, 0.7}, kRatesOf100 = {0.01, 0.05, 0.1, 0.2};

std::string file_name(const RunConfig& config) {
  const bool wide = config.model.architecture == Architecture::wide_resnet;
  const std::string set = config.data.dataset == "fashion_mnist" ? "fmnist" : config.data.dataset;
  std::string rate = std::to_string(config.candidates.rate);
  while (rate.back() == '0') rate.pop_back();
  return set + (wide ? "-wrn-34-10" : "-lenet") + "-q" + rate + ".ini";
}

}  // namespace

TEST_CASE("configs: every file in configs/ is a configuration") {
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kConfigs)) {
    if (!entry.is_regular_file()) continue;
    CAPTURE(entry.path().string());
    CHECK(entry.path().extension() == ".ini");
    // Files of tools/sweep and tools/benchmark, which list configurations.
    if (entry.path().filename().string().starts_with("sweep-")) continue;
    if (entry.path().parent_path().filename() == "benchmark") continue;
    CHECK_NOTHROW(load_config(entry.path().string(), {}));
    ++files;
  }
  CHECK(files >= 23);
}

TEST_CASE("configs: the paper's settings, one file for each set and rate") {
  std::map<std::string, std::set<double>> rates;
  for (const auto& entry : fs::directory_iterator(kConfigs + "/paper")) {
    CAPTURE(entry.path().string());
    const RunConfig config = load_config(entry.path().string(), {});
    CHECK(entry.path().filename() == file_name(config));
    CHECK(config.run.name + ".ini" == entry.path().filename().string());
    rates[config.data.dataset].insert(config.candidates.rate);

    const bool grey = config.data.dataset == "fashion_mnist" || config.data.dataset == "kmnist";
    RunConfig expected;  // apart from PLCR's constants the defaults are the published values
    expected.run.name = config.run.name;
    expected.data.dataset = config.data.dataset;
    expected.candidates.rate = config.candidates.rate;
    expected.views.strong = 2;  // as published, and as the preset
    std::get<Plcr>(expected.methods).variant = ObjectiveVariant::published;
    expected.model.architecture = grey ? Architecture::lenet : Architecture::wide_resnet;
    expected.model.depth = config.model.depth;
    if (!grey) CHECK(config.model.depth == 34);
    CHECK(config == expected);

    CHECK(config.run.epochs == 200);
    CHECK(config.views.strong == 2);
    CHECK(config.candidates.mode == CandidateMode::uniform);
    CHECK(config.candidates.min_distractors == 1);
    CHECK(config.candidates.seed == 2);
    CHECK(std::get<Plcr>(config.methods).lambda_max == 1);
    CHECK(std::get<Plcr>(config.methods).ramp_epochs == 100);
    CHECK(config.optimiser.batch == 64);
    CHECK(config.optimiser.lr == 0.1);
    CHECK(config.optimiser.momentum == 0.9);
    CHECK(config.optimiser.weight_decay == 1e-4);
    CHECK(config.optimiser.schedule == ScheduleKind::step);
    CHECK(config.optimiser.lr_decay_epochs == std::vector<int>{100, 150});
    CHECK(config.optimiser.lr_decay_factor == 0.1);
    if (!grey) {
      CHECK(config.model.depth == 34);
      CHECK(config.model.width == 10);
    }
  }
  CHECK(rates == std::map<std::string, std::set<double>>{{"cifar10", kRates},
                                                         {"cifar100", kRatesOf100},
                                                         {"svhn", kRates},
                                                         {"fashion_mnist", kRates},
                                                         {"kmnist", kRates}});
}
