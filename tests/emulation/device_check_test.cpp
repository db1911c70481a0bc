// device = check: a right backend passes on every network in every precision, and planted faults are found in
// each.
#include "train/device_check.h"

#include <algorithm>
#include <cstring>

#include "backend/observed_backend.h"
#include "dpll/core/philox.h"
#include "dpll/safetensors.h"
#include "emulation/emulated_backend.h"
#include "emulation/faults.h"
#include "support/doctest.h"
#include "support/temp_dir.h"

using namespace dpll;
using namespace dpll::test;

namespace {

constexpr int kSamples = 20, kSide = 8, kClasses = 3;

// Noise around a brightness that tells the class, in RGB.
void write_data(const TempDir& folder) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  PhiloxStream draw(3, Purpose::split, 0, 0, 0);
  for (int i = 0; i < kSamples; ++i) {
    labels.push_back(i % kClasses);
    for (int p = 0; p < kSide * kSide * 3; ++p) {
      pixels.push_back(
          static_cast<std::uint8_t>(60 * (i % kClasses) + static_cast<int>(draw.next_below(90))));
    }
  }
  SafetensorsWriter writer;
  for (const std::string part : {"", "test_"}) {
    writer.add(part + "images", DType::u8, {kSamples, kSide, kSide, 3}, pixels.data());
    writer.add(part + "labels", DType::i32, {kSamples}, labels.data());
  }
  writer.write(folder.file("data.safetensors"));
}

RunConfig tiny_check(const TempDir& folder, Architecture architecture) {
  RunConfig config;
  config.run.name = "check";
  config.run.device = DeviceChoice::check;
  config.run.threads = 2;
  config.run.check_steps = 2;
  config.data.dataset = DatasetKind::safetensors;
  config.data.path = folder.file("data.safetensors");
  config.views.policy = AugmentPolicy::plcr_cifar;
  config.model.architecture = architecture;
  config.model.depth = 10;
  config.model.width = 1;
  config.model.hidden = {24, 16};
  config.objective.ramp_epochs = 0;
  config.optimiser.batch = 8;
  config.optimiser.lr = 0.01;
  return config;
}

struct Kind {
  const char* name;
  Precision precision;
  DType type;
};
constexpr Kind kKinds[] = {{"f32", Precision::f32, DType::f32},
                           {"tf32", Precision::tf32, DType::f32},
                           {"f16", Precision::f16, DType::f16},
                           {"bf16", Precision::bf16, DType::bf16}};

struct Result {
  int code = 0;
  std::vector<std::string> lines;

  bool says(const std::string& text) const {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const std::string& line) { return line.find(text) != std::string::npos; });
  }
  // The marked lines, or those that hold `text`.
  std::string all(const std::string& text = "!") const {
    std::string result;
    for (const std::string& line : lines) {
      if (text == "!" ? line.starts_with("!") : line.find(text) != std::string::npos) result += line + "\n";
    }
    return result;
  }
};

Result check(RunConfig config, const Kind& kind, const std::function<std::unique_ptr<Backend>(DType)>& make) {
  config.run.precision = kind.precision;
  Result result;
  result.code = check_devices(
      config, [&](const RunConfig::Run&, const Warn&, const std::string&) { return make(kind.type); },
      [&](const std::string& line) { result.lines.push_back(line); });
  return result;
}

std::unique_ptr<Backend> right_backend(DType type) {
  return make_emulated_cuda_backend(type);
}

}  // namespace

TEST_CASE("device = check: a right backend passes on every network in every precision") {
  const TempDir folder;
  write_data(folder);
  for (const Architecture architecture : {Architecture::wide_resnet, Architecture::lenet, Architecture::mlp}) {
    for (const Kind& kind : kKinds) {
      CAPTURE(kind.name);
      const Result result = check(tiny_check(folder, architecture), kind, right_backend);
      for (const std::string& line : result.lines) MESSAGE(kind.name, " ", line);
      CHECK_MESSAGE(result.code == 0, result.all());
    }
  }
}
