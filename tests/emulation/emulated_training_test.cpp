// Whole runs on the emulated CUDA backend, in every precision: as the trainer drives it, with its schedule
// and records on the device.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "dpll/core/philox.h"
#include "dpll/files.h"
#include "dpll/safetensors.h"
#include "emulation/emulated_backend.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/event_reader.h"
#include "support/temp_dir.h"
#include "train/program_specs.h"
#include "train/run_folder.h"
#include "train/trainer.h"

using namespace dpll;
using namespace dpll::test;

namespace {

constexpr int kTrainSamples = 20, kImageSide = 8, kClassCount = 3;

// Noise around a brightness that tells the class, in RGB.
std::string write_training_data(const TempDir& folder) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  PhiloxStream draw(3, Purpose::split, 0, 0, 0);
  for (int i = 0; i < kTrainSamples; ++i) {
    labels.push_back(i % kClassCount);
    for (int p = 0; p < kImageSide * kImageSide * 3; ++p) {
      pixels.push_back(
          static_cast<std::uint8_t>(60 * (i % kClassCount) + static_cast<int>(draw.next_below(90))));
    }
  }
  SafetensorsWriter writer;
  for (const std::string part : {"", "test_"}) {
    writer.add(part + "images", DType::u8, {kTrainSamples, kImageSide, kImageSide, 3}, pixels.data());
    writer.add(part + "labels", DType::i32, {kTrainSamples}, labels.data());
  }
  std::string path = folder.file("data.safetensors");
  writer.write(path);
  return path;
}

RunConfig tiny_run(const TempDir& folder, const std::string& name) {
  RunConfig config;
  config.run.name = name;
  config.run.device = DeviceChoice::cpu;  // as far as the trainer knows: the maker decides
  config.run.threads = 2;
  config.run.out_dir = folder.file("runs");
  config.run.epochs = 3;
  config.data.dataset = "safetensors";
  config.data.path = folder.file("data.safetensors");
  config.views.policy = AugmentPolicy::plcr_cifar;
  config.model.depth = 10;
  config.model.width = 1;
  std::get<Plcr>(config.methods).ramp_epochs = 2;
  config.optimiser.batch = 8;  // 8, 8, 4
  config.optimiser.lr = 0.002;
  config.evaluation.batch = 16;
  config.log.steps = 1;
  config.log.charts = false;
  config.log.tensorboard = true;
  config.log.progress = false;
  config.checkpoint.every_steps = 2;
  return config;
}

int train_emulated(const RunConfig& config, DType compute) {
  return train(config, [compute](const RunConfig::Run&, const Warn&, const std::string&) {
    return make_emulated_cuda_backend(compute);
  });
}

std::vector<std::uint8_t> result(const TempDir& folder, const std::string& run, const char* file) {
  return read_file(folder.file("runs/" + run + "/" + file));
}

// A column of steps.csv.
std::vector<double> losses_of(const TempDir& folder, const std::string& run) {
  const std::vector<std::uint8_t> bytes = result(folder, run, run_files::kSteps);
  std::istringstream lines(std::string(bytes.begin(), bytes.end()));
  std::vector<double> losses;
  std::string line;
  std::getline(lines, line);
  REQUIRE(line.starts_with("step,epoch,loss"));
  while (std::getline(lines, line)) {
    std::istringstream cells(line);
    std::string cell;
    for (int i = 0; i < 3; ++i) std::getline(cells, cell, ',');
    losses.push_back(std::stod(cell));
  }
  return losses;
}

// The picture of the views in the run's event file.
std::string views_of(const TempDir& folder, const std::string& run) {
  for (const auto& entry : std::filesystem::directory_iterator(folder.file("runs/" + run))) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("events.out.tfevents.")) continue;
    const std::vector<std::uint8_t> bytes = read_file(entry.path().string());
    return read_events({reinterpret_cast<const char*>(bytes.data()), bytes.size()})
        .at(1)
        .images.at("views")
        .encoded;
  }
  return "";
}

}  // namespace

TEST_CASE("emulated CUDA: runs in every precision are the CPU's within its rounding") {
  const TempDir folder;
  write_training_data(folder);
  REQUIRE(train(tiny_run(folder, "cpu")) == 0);
  const std::vector<double> want = losses_of(folder, "cpu");
  REQUIRE(want.size() == 9);
  struct Kind {
    DType type;
    // Of a step's loss: activations are rounded to 24, 11 or 8 bits some twenty times on the way to it, and
    // nine steps of training amplify what that makes of the weights.
    double bound;
  };
  for (const Kind& kind : {Kind{DType::f32, 1e-5}, {DType::f16, 1e-2}, {DType::bf16, 8e-2}}) {
    const std::string name = name_of(kind.type);
    CAPTURE(name);
    REQUIRE(train_emulated(tiny_run(folder, name), kind.type) == 0);
    CHECK(views_of(folder, name) == views_of(folder, "cpu"));
    const std::vector<double> got = losses_of(folder, name);
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
      CAPTURE(i);
      CAPTURE(got[i]);
      CAPTURE(want[i]);
      CHECK(std::abs(got[i] - want[i]) <= kind.bound * std::abs(want[i]));
    }
  }
}

TEST_CASE("emulated CUDA: a run stopped anywhere and resumed ends with the same bytes, loss scale included") {
  const TempDir folder;
  write_training_data(folder);
  REQUIRE(train_emulated(tiny_run(folder, "whole"), DType::f16) == 0);
  // While data load a signal would end the program.
  const std::string steps = folder.file("runs/stopped/" + std::string(run_files::kSteps));
  std::thread stopper([&] {
    for (int i = 0; i < 60'000 && !std::filesystem::exists(steps); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    std::raise(SIGTERM);
  });
  // Outside of the run the signal would end the program.
  const auto before = std::signal(SIGTERM, SIG_IGN);
  const int code = train_emulated(tiny_run(folder, "stopped"), DType::f16);
  stopper.join();
  std::signal(SIGTERM, before);
  CHECK((code == 0 || code == 143));
  RunConfig again = tiny_run(folder, "stopped");
  again.run.resume = ResumeMode::require;
  REQUIRE(train_emulated(again, DType::f16) == 0);
  for (const char* file : {run_files::kModel, run_files::kLabels, run_files::kSteps}) {
    CAPTURE(file);
    CHECK(result(folder, "stopped", file) == result(folder, "whole", file));
  }
}

// Three steps an epoch, two passes of an evaluation.
TEST_CASE("emulated CUDA: a run whose GPU is lost ends with an error and goes on from its last checkpoint") {
  const TempDir folder;
  write_training_data(folder);
  REQUIRE(train_emulated(tiny_run(folder, "whole"), DType::f32) == 0);
  for (const int replays : {0, 1, 4, 7, 11}) {
    CAPTURE(replays);
    const std::string name = fmt::format("lost-{}", replays);
    const Error error = error_of([&] {
      train(tiny_run(folder, name), [&](const RunConfig::Run&, const Warn&, const std::string&) {
        return emulated_cuda::make_failing_backend(DType::f32, replays);
      });
    });
    CHECK(error.code() == ExitCode::device);
    CHECK(contains(error, "the GPU failed at"));
    const bool kept = std::filesystem::exists(folder.file("runs/" + name + "/" + run_files::kCheckpoint));
    CHECK(kept == (replays >= 2));
    RunConfig again = tiny_run(folder, name);
    again.run.resume = kept ? ResumeMode::require : ResumeMode::never;
    if (!kept) again.run.name += "-again";
    REQUIRE(train_emulated(again, DType::f32) == 0);
    for (const char* file : {run_files::kModel, run_files::kLabels}) {
      CAPTURE(file);
      CHECK(result(folder, again.run.name, file) == result(folder, "whole", file));
    }
  }
}

TEST_CASE("emulated CUDA: tuning for a configuration leaves nothing for its run to find out") {
  const TempDir folder;
  write_training_data(folder);
  RunConfig config = tiny_run(folder, "tuned");
  config.run.epochs = 1;
  config.data.selection_fraction = 0.35;  // 7 of 20: steps of 5, 5 and 3, evaluations of 4 and 3
  config.optimiser.batch = 5;
  config.evaluation.batch = 4;
  config.views.strong = 1;
  const auto backend = [] {
    return emulated_cuda::make_tuned_backend(DType::f32, emulated_cuda::FusedLoops::right,
                                             [](const std::string&) {});
  };
  const auto keys_of = [](const std::string& choices) {
    std::set<std::string> keys;
    const nlohmann::json json = nlohmann::json::parse(choices);
    for (const auto& [key, choice] : json.at("choices").items()) keys.insert(key);
    return keys;
  };
  REQUIRE(train(config, [&](const RunConfig::Run&, const Warn&, const std::string&) { return backend(); }) ==
          0);
  const std::vector<std::uint8_t> of_run = result(folder, "tuned", run_files::kTuning);

  const auto tuner = backend();
  const DataSet data = load_data(config);
  const auto network = make_network(*tuner, config.model, {kImageSide, kImageSide, 3, kClassCount}, false);
  for (const ProgramSpec& spec : program_specs(config, data)) network->make_program(spec);
  const std::set<std::string> tuned = keys_of(tuner->tuning_choices());
  CHECK(tuned == keys_of(std::string(of_run.begin(), of_run.end())));
  // Of a step's last batch and an evaluation's, which only the held-out samples make.
  for (const char* images : {"f32 6x8x8", "f32 3x8x8"}) {
    CHECK_MESSAGE(std::any_of(tuned.begin(), tuned.end(),
                              [&](const std::string& key) { return key.find(images) != std::string::npos; }),
                  images);
  }
}

TEST_CASE("emulated CUDA: a run that is not finite stops in every precision and names the step") {
  const TempDir folder;
  write_training_data(folder);
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    RunConfig config = tiny_run(folder, std::string("broken-") + name_of(type));
    config.views.mean = {0.5, 0.5, 0.5};
    config.views.std = {1e-39, 1e-39, 1e-39};  // pixels become infinite
    const Error error = error_of([&] { train_emulated(config, type); });
    CHECK(error.code() == ExitCode::run);
    CHECK(contains(error, "not finite"));
  }
}

TEST_CASE("a run that does not fit says what would, and that does") {
  const TempDir folder;
  write_training_data(folder);
  RunConfig config = tiny_run(folder, "large");
  const std::size_t limit = std::size_t{3400} << 10;
  const auto maker = [&](const RunConfig::Run&, const Warn&, const std::string&) {
    return make_emulated_cuda_backend(DType::f32, limit);
  };
  config.optimiser.batch = 20;
  const Error error = error_of([&] { train(config, maker); });
  CHECK(error.code() == ExitCode::device);
  CHECK(contains(error, "optimiser.batch = 20 with 3 views needs"));
  const std::string text = error.what();
  const auto number_behind = [&](const std::string& key) {
    const std::size_t at = text.rfind(key);
    REQUIRE_MESSAGE(at != std::string::npos, text);
    return std::stoi(text.substr(at + key.size()));
  };
  CAPTURE(text);
  config.optimiser.batch = number_behind("optimiser.batch = ");
  CHECK(config.optimiser.batch > 1);
  CHECK(train(config, maker) == 0);
  config.run.name = "fewer-views";
  config.optimiser.batch = 20;
  config.views.strong = number_behind("views.strong = ");
  CHECK(train(config, maker) == 0);
}
