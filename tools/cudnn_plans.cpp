// Prints which plans cuDNN has for the convolutions of our networks, and for those of the small shapes that
// the tests compute, on GPUs that are described, not present; or how cuDNN describes the GPU that is.
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
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

// What the engine asks for. Of a network's layers: no gradient of the images, nothing fused with batch norm
// that is not there, and no statistics where the channels are filled up (variants_of() in src/backend/cuda).
// The cases of the tests are about the plain passes.
struct Uses {
  bool data_gradient = true, weight_gradient = true, fused = true;
};

// A convolution of a network, its shape that of training in batches of kBatch; or of a case of the tests.
struct Layer {
  std::string name;
  ConvolutionShape shape;
  bool reads_images = false;
  Uses uses;
};

// Notes the convolutions that a network asks its backend for, each shape once.
class Recorder final : public ObservedBackend {
 public:
  Recorder(Backend& inner, std::string network) : ObservedBackend(inner), network_(std::move(network)) {}

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
         {s.rows(), s.height, s.width, s.in_channels, s.out_channels, kernel, s.stride, pad, DType::f16},
         !s.input_gradient,
         {.data_gradient = s.input_gradient, .fused = s.input_gradient}});
  }

  std::string network_;
  std::vector<Layer> layers_;
};

void add_layers(std::vector<Layer>& layers, const RunConfig::Model& model, const InputShape& input,
                const std::string& name) {
  const auto cpu = make_cpu_backend({});
  Recorder recorder(*cpu, name);
  const auto network = make_network(recorder, model, input, false);
  network->make_program({Mode::train, kViews, kBatch});
  layers.insert(layers.end(), recorder.layers().begin(), recorder.layers().end());
}

std::vector<Layer> layers() {
  std::vector<Layer> all;
  RunConfig::Model model;
  model.architecture = Architecture::wide_resnet;
  for (const auto& [depth, width] : {std::pair{28, 2}, std::pair{34, 10}}) {
    model.depth = depth;
    model.width = width;
    add_layers(all, model, {32, 32, 3, 10}, fmt::format("wrn-{}-{}", depth, width));
  }
  model.architecture = Architecture::lenet;
  add_layers(all, model, {28, 28, 1, 10}, "lenet");
  return all;
}

// The convolutions of tests/ops/preact_conv_cases.h, which the GPU's tests compute without filling channels
// up.
void add_cases(std::vector<Layer>& layers) {
  for (const test::PreactConvCase& c : test::small_preact_conv_cases()) {
    const PreactConvSpec& s = c.spec;
    const bool train = s.mode == Mode::train;
    const Uses uses{.data_gradient = train && s.input_gradient, .weight_gradient = train, .fused = false};
    const auto add = [&](const std::string& name, int kernel, int pad) {
      layers.push_back(
          {name,
           {s.rows(), s.height, s.width, s.in_channels, s.out_channels, kernel, s.stride, pad, DType::f16},
           false,
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

// "deterministic ones / all" that can be built.
std::string counts(const CudnnDevice& device, const ConvolutionShape& shape, ConvolutionPass pass) {
  const auto count = [&](bool deterministic) {
    int built = 0;
    for (const EngineConfiguration& configuration :
         engine_configurations(device, shape, pass, {.deterministic = deterministic})) {
      if (make_plan(device, configuration)) ++built;
    }
    return built;
  };
  return fmt::format("{}/{}", count(true), count(false));
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
      return layer.uses.fused || (layer.reads_images && layer.shape.type == DType::f32);
    default:
      return layer.uses.fused;
  }
}

void print_row(const CudnnDevice& device, const Gpu& gpu, const Layer& layer) {
  fmt::print("{},{},{},{}", gpu.name, layer.name, layer.shape.in_channels, dpll::name_of(layer.shape.type));
  for (const ConvolutionPass pass : kAllPasses) {
    ConvolutionShape shape = layer.shape;
    if (!is_plain(pass)) shape.images = kBatch;
    fmt::print(",{}", is_used(layer, pass) ? counts(device, shape, pass) : "-");
  }
  fmt::print("\n");
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
      "of 64, cases of tests/ops as they are; -: not used\n",
      cudnn().version.text());
  fmt::print("gpu,layer,in_channels,type");
  for (const ConvolutionPass pass : kAllPasses) fmt::print(",{}", name_of(pass));
  fmt::print("\n");
  std::vector<Layer> all = layers();
  add_cases(all);
  for (const Gpu& gpu : {Gpu{"sm_80", 800, 108, 166912},
                         {"sm_89", 890, 128, 101376},
                         {"sm_90", 900, 132, 232448},
                         {"sm_100", 1000, 148, 232448}}) {
    description["deviceVer"] = gpu.version;
    description["multiProcessorCount"] = gpu.processors;
    description["maxSharedMemoryPerBlockOptin"] = gpu.shared;
    const CudnnDevice device(description.dump());
    for (const Layer& l : all) {
      for (const DType type : {DType::f16, DType::bf16, DType::f32}) {
        Layer typed = l;
        typed.shape.type = type;
        if (l.reads_images) typed.shape.in_channels = image_channels(l.shape.in_channels, type);
        print_row(device, gpu, typed);
      }
    }
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return static_cast<int>(ExitCode::device);
}
