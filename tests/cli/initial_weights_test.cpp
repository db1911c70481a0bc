// model.init: training that starts from the weights of a file.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "cli/engine_runs.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::test;

namespace {

const std::vector<std::string> kTiny = {"model.architecture=mlp",   "model.hidden=6",    "run.epochs=1",
                                        "data.train_limit=16",      "data.test_limit=8", "log.charts=false",
                                        "checkpoint.save_init=true"};

std::vector<std::string> with(std::vector<std::string> settings, const std::vector<std::string>& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

std::string text_of(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

void check_says(const std::string& text, const std::vector<std::string>& words) {
  for (const std::string& word : words)
    CHECK_MESSAGE(text.find(word) != std::string::npos, word, " in ", text);
}

}  // namespace

TEST_CASE("initial weights: a run starts from another run's model") {
  const EngineRuns runs(kTiny);
  require_done(runs.train("first"));
  const std::string model = runs.run_file("first", "model.safetensors");
  require_done(runs.train("second", {"run.seed=7", "model.init=" + model}));
  const SafetensorsFile given = SafetensorsFile::read(model),
                        start = SafetensorsFile::read(runs.run_file("second", "init.safetensors"));
  for (const auto& [name, entry] : given.entries()) {
    if (name.ends_with(".num_batches_tracked")) continue;  // training begins at 0
    CHECK(start.get<float>(name) == given.get<float>(name));
  }
  check_says(text_of(runs.run_file("second", "train.log")),
             {"initial weights: 8 of 8 tensors from " + model});
  // A resumed run has its own weights: the file may be gone.
  std::filesystem::remove(model);
  require_done(runs.resume("second", {"run.epochs=2"}));
}

TEST_CASE("initial weights: tensors of the same name and shape are taken, the others are drawn and named") {
  const EngineRuns runs(kTiny);
  require_done(runs.train("first"));
  const std::string model = runs.run_file("first", "model.safetensors");
  const std::vector<std::string> deeper = {"model.hidden=6,5", "model.init=" + model, "run.seed=9"};
  require_done(runs.train("deeper", with(deeper, {"model.init_match=names"})));
  require_done(runs.train("drawn", {"model.hidden=6,5", "run.seed=9"}));
  const SafetensorsFile given = SafetensorsFile::read(model),
                        start = SafetensorsFile::read(runs.run_file("deeper", "init.safetensors")),
                        drawn = SafetensorsFile::read(runs.run_file("drawn", "init.safetensors"));
  for (const auto& [name, entry] : start.entries()) {
    if (name.ends_with(".num_batches_tracked")) continue;
    const bool taken = given.contains(name) && given.entry(name).shape == entry.shape;
    CHECK(start.get<float>(name) == (taken ? given : drawn).get<float>(name));
  }
  check_says(text_of(runs.run_file("deeper", "train.log")),
             {"initial weights: 7 of 14 tensors", "hidden.1.linear.weight", "hidden.1.bn.running_var",
              "last.weight (f32 [10,6] there, f32 [10,5] here)"});

  // The same file, where all must fit: one line with everything, and no run.
  const ProcessResult refused = runs.train("strict", deeper);
  CHECK(refused.exit_code == 4);
  check_says(refused.err, {model, "missing: hidden.1.linear.weight, hidden.1.linear.bias", "last.weight (f32",
                           "init_match = names would take the 7 tensors"});
  CHECK(!std::filesystem::exists(runs.run_file("strict", "init.safetensors")));
}

TEST_CASE(
    "initial weights: files that do not fit, are no such files or hold nonsense are refused in one line") {
  const EngineRuns runs(kTiny);
  require_done(runs.train("first"));
  const auto refused = [&](const std::string& file, const std::vector<std::string>& words,
                           const std::vector<std::string>& more = {}) {
    const ProcessResult result = runs.train("other", with({"model.init=" + file}, more));
    CHECK(result.exit_code == 4);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    check_says(result.err, words);
  };
  refused(runs.file("nowhere.safetensors"), {"nowhere.safetensors"});
  refused(runs.config(), {"tiny.ini"});
  refused(runs.run_file("first", "checkpoint.safetensors"),
          {"missing: hidden.0.linear.weight", "this is a checkpoint: give the run's model.safetensors"});
  refused(runs.run_file("first", "checkpoint.safetensors"), {"no tensor fits this network"},
          {"model.init_match=names"});

  // A file from elsewhere has no digest.
  const SafetensorsFile model = SafetensorsFile::read(runs.run_file("first", "model.safetensors"));
  const auto written = [&](const std::string& name, float first, bool foreign) {
    SafetensorsWriter writer;
    for (const auto& [tensor, entry] : model.entries()) {
      if (entry.dtype != DType::f32) continue;
      std::vector<float> values = model.get<float>(tensor);
      if (tensor == "last.weight") values[0] = first;
      writer.add(tensor, DType::f32, entry.shape, values.data());
    }
    const float one = 1;
    if (foreign) writer.add("head.scale", DType::f32, {1}, &one);
    writer.write(runs.file(name));
    return runs.file(name);
  };
  refused(written("nan.safetensors", std::numeric_limits<float>::quiet_NaN(), false), {"last.weight", "nan"});
  refused(written("foreign.safetensors", 1, true), {"foreign: head.scale"});
  require_done(runs.train("fits", {"model.init=" + written("fits.safetensors", 1, false)}));
}
