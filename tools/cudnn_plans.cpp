// Prints which plans cuDNN has for the convolutions of our networks, and for those of the small shapes that
// the tests compute, on GPUs that are described, not present; or how cuDNN describes the GPU that is.
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/vendor/cudnn_convolution.h"
#include "backend/observed_backend.h"
#include "dpll/core/check.h"
#include "dpll/model/network.h"
#include "ops/preact_conv_cases.h"

using namespace dpll;
using namespace dpll::cuda;

namespace {

constexpr int kViews = 3, kBatch = 64;
// No room for a copy of a layer's tensors, which cuDNN makes where their channels are no whole vectors.
constexpr std::size_t kLeanWorkspace = 4096;

// What the engine asks for. Of a network's layers: no gradient of the images, nothing fused with batch norm
// that is not there, and no statistics of a sum with a bias (variants_of() in src/backend/cuda). The cases of
// the tests are about the plain passes.
struct Uses {
  bool data_gradient = true, weight_gradient = true, statistics = true, fused = true;
};

// A convolution of a network, its shape that of training in batches of kBatch; or of a case of the tests.
struct Layer {
  std::string name;
  ConvolutionShape shape;
  Uses uses;
};

// Notes the convolutions that a network asks a GPU's backend of this type for, each shape once.
class Recorder final : public ObservedBackend {
 public:
  Recorder(Backend& inner, std::string network, DType type)
      : ObservedBackend(inner), network_(std::move(network)), type_(type) {}

  int padded_channels(int channels) const override { return dpll::cuda::padded_channels(channels, type_); }
  int image_channels(int channels) const override { return dpll::cuda::image_channels(channels, type_); }

  std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec) override {
    note(spec, spec.kernel, spec.pad);
    if (spec.projection) note(spec, 1, 0);
    return ObservedBackend::make_preact_conv(spec);
  }
  const std::vector<Layer>& layers() const { return layers_; }

 private:
  void note(const PreactConvSpec& s, int kernel, int pad) {
    const std::string name =
        fmt::format("{} {}x{} {} to {} {}x{}{}", network_, s.height, s.width, s.in_channels, s.out_channels,
                    kernel, kernel, s.stride == 2 ? " stride 2" : "");
    for (const Layer& known : layers_) {
      if (known.name == name) return;
    }
    layers_.push_back(
        {name,
         {s.rows(), s.height, s.width, s.in_channels, s.out_channels, kernel, s.stride, pad, type_},
         {.data_gradient = s.input_gradient, .statistics = !s.bias, .fused = s.preact}});
  }

  std::string network_;
  DType type_;
  std::vector<Layer> layers_;
};

void add_layers(std::vector<Layer>& layers, const RunConfig::Model& model, const InputShape& input,
                const std::string& name, DType type) {
  const auto cpu = make_cpu_backend({});
  Recorder recorder(*cpu, name, type);
  const auto network = make_network(recorder, model, input, false);
  network->make_program({Mode::train, kViews, kBatch});
  layers.insert(layers.end(), recorder.layers().begin(), recorder.layers().end());
}

std::vector<Layer> layers(DType type) {
  std::vector<Layer> all;
  RunConfig::Model model;
  model.architecture = Architecture::wide_resnet;
  for (const auto& [depth, width] : {std::pair{28, 2}, std::pair{34, 10}}) {
    model.depth = depth;
    model.width = width;
    add_layers(all, model, {32, 32, 3, 10}, fmt::format("wrn-{}-{}", depth, width), type);
  }
  model.architecture = Architecture::lenet;
  add_layers(all, model, {28, 28, 1, 10}, "lenet", type);
  return all;
}

// The convolutions of tests/ops/preact_conv_cases.h, which the GPU's tests compute without filling channels
// up.
void add_cases(std::vector<Layer>& layers, DType type) {
  for (const test::PreactConvCase& c : test::small_preact_conv_cases()) {
    const PreactConvSpec& s = c.spec;
    const bool train = s.mode == Mode::train;
    const Uses uses{.data_gradient = train && s.input_gradient,
                    .weight_gradient = train,
                    .statistics = false,
                    .fused = false};
    const auto add = [&](const std::string& name, int kernel, int pad) {
      layers.push_back(
          {name,
           {s.rows(), s.height, s.width, s.in_channels, s.out_channels, kernel, s.stride, pad, type},
           uses});
    };
    add("case " + c.name, s.kernel, s.pad);
    if (s.projection) add("case " + c.name + " 1x1", 1, 0);
  }
}

struct Gpu {
  const char* name;
  int version, processors, shared;
};

// Plans that can be built.
struct Plans {
  int count = 0, lean = 0;  // lean: with less than kLeanWorkspace
};
Plans plans_of(const CudnnDevice& device, const ConvolutionShape& shape, ConvolutionPass pass,
               bool deterministic) {
  Plans plans;
  for (const EngineConfiguration& configuration :
       engine_configurations(device, shape, pass, {.deterministic = deterministic})) {
    const std::optional<EnginePlan> plan = make_plan(device, configuration);
    if (!plan) continue;
    ++plans.count;
    if (plan->workspace_bytes < kLeanWorkspace) ++plans.lean;
  }
  return plans;
}

bool is_used(const Layer& layer, ConvolutionPass pass) {
  switch (pass) {
    case ConvolutionPass::forward:
      return true;
    case ConvolutionPass::data_gradient:
      return layer.uses.data_gradient;
    case ConvolutionPass::weight_gradient:
      return layer.uses.weight_gradient;
    case ConvolutionPass::forward_statistics:
      return layer.uses.statistics;
    default:
      return layer.uses.fused;
  }
}

void print_row(const CudnnDevice& device, const Gpu& gpu, const Layer& layer) {
  fmt::print("{},{},{},{}", gpu.name, layer.name, layer.shape.in_channels, dpll::name_of(layer.shape.type));
  std::string lean;
  for (const ConvolutionPass pass : kAllPasses) {
    ConvolutionShape shape = layer.shape;
    if (!is_plain(pass)) shape.images = kBatch;
    std::string counts = "-", of_lean = "-";
    if (is_used(layer, pass)) {
      const Plans deterministic = plans_of(device, shape, pass, true);
      counts = fmt::format("{}/{}", deterministic.count, plans_of(device, shape, pass, false).count);
      of_lean = fmt::format("{}/{}", deterministic.lean, deterministic.count);
    }
    fmt::print(",{}", counts);
    if (is_plain(pass)) lean += "," + of_lean;
  }
  fmt::print("{}\n", lean);
}

// The JSON from which cuDNN plans for this GPU where it is not present.
std::string description_of_this_gpu() {
  const CudnnDevice device(std::vector<Stream>{nullptr});
  Descriptor properties(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  cudnnHandle_t handle = device.handle(nullptr);
  properties.set(CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  properties.finalize("describing the GPU");
  const auto text =
      properties.list<char>(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 1 << 16);
  if (!text || text->empty()) {
    fail(ExitCode::device, "cuDNN {} does not describe its GPU", cudnn().version.text());
  }
  return {text->data(), strnlen(text->data(), text->size())};
}

}  // namespace

// Usage: cudnn_plans DESCRIPTION.json   (of one GPU; the others are derived from it)
//        cudnn_plans --describe         (such a description, of the GPU of this machine)
int main(int argc, char** argv) try {
  if (argc != 2) fail(ExitCode::usage, "usage: cudnn_plans DESCRIPTION.json | --describe");
  if (std::string(argv[1]) == "--describe") {
    fmt::print("{}\n", description_of_this_gpu());
    return 0;
  }
  std::ifstream file(argv[1]);
  if (!file) fail(ExitCode::data, "cannot read {}", argv[1]);
  nlohmann::json description = nlohmann::json::parse(file);
  fmt::print(
      "# cuDNN {}; plans: deterministic ones / all, in float32 without tf32; batch 192, fused passes a view "
      "of 64, cases of tests/ops as they are; lean: those with less than {} bytes of workspace / "
      "deterministic ones; -: not used\n",
      cudnn().version.text(), kLeanWorkspace);
  fmt::print("gpu,layer,in_channels,type");
  for (const ConvolutionPass pass : kAllPasses) fmt::print(",{}", name_of(pass));
  for (const ConvolutionPass pass : kAllPasses) {
    if (is_plain(pass)) fmt::print(",lean_{}", name_of(pass));
  }
  fmt::print("\n");
  std::vector<std::vector<Layer>> of_types;
  for (const DType type : {DType::f16, DType::bf16, DType::f32}) {
    of_types.push_back(layers(type));
    add_cases(of_types.back(), type);
  }
  for (const Gpu& gpu : {Gpu{"sm_80", 800, 108, 166912},
                         {"sm_89", 890, 128, 101376},
                         {"sm_90", 900, 132, 232448},
                         {"sm_100", 1000, 148, 232448}}) {
    description["deviceVer"] = gpu.version;
    description["multiProcessorCount"] = gpu.processors;
    description["maxSharedMemoryPerBlockOptin"] = gpu.shared;
    const CudnnDevice device(description.dump());
    for (std::size_t i = 0; i < of_types[0].size(); ++i) {
      for (const std::vector<Layer>& all : of_types) print_row(device, gpu, all.at(i));
    }
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return static_cast<int>(ExitCode::device);
}
