// Prints which plans cuDNN has for the convolutions of our networks on GPUs that are described, not present.
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "backend/cuda/vendor/cudnn_convolution.h"
#include "dpll/core/check.h"

using namespace dpll;
using namespace dpll::cuda;

namespace {

struct Layer {
  const char* name;
  ConvolutionShape shape;
  bool reads_images = false;
};

constexpr int kViews = 3, kBatch = 64;

Layer layer(const char* name, int side, int in, int out, int kernel, int stride, int pad) {
  return {name, {kViews * kBatch, side, side, in, out, kernel, stride, pad, DType::f16}};
}

Layer first_layer(const char* name, int side, int in, int out, int kernel, int pad) {
  Layer first = layer(name, side, in, out, kernel, 1, pad);
  first.reads_images = true;
  return first;
}

std::vector<Layer> layers() {
  return {first_layer("wrn stem", 32, 3, 16, 3, 1),
          layer("wrn-28-2 group 1", 32, 32, 32, 3, 1, 1),
          layer("wrn-28-2 group 2 down", 32, 32, 64, 3, 2, 1),
          layer("wrn-28-2 group 2 shortcut", 32, 32, 64, 1, 2, 0),
          layer("wrn-28-2 group 3", 8, 128, 128, 3, 1, 1),
          layer("wrn-34-10 group 1", 32, 160, 160, 3, 1, 1),
          layer("wrn-34-10 group 2 down", 32, 160, 320, 3, 2, 1),
          layer("wrn-34-10 group 2", 16, 320, 320, 3, 1, 1),
          layer("wrn-34-10 group 3", 8, 640, 640, 3, 1, 1),
          first_layer("lenet conv 1", 28, 1, 6, 5, 2),
          layer("lenet conv 2", 14, 6, 16, 5, 1, 0)};
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

// What the engine asks for: no gradient of the images, nothing fused with batch norm that is not there, and
// no statistics where the channels are filled up (variants_of() in src/backend/cuda).
bool is_used(const Layer& layer, ConvolutionPass pass) {
  if (!layer.reads_images) return true;
  return pass == ConvolutionPass::forward || pass == ConvolutionPass::weight_gradient ||
         (pass == ConvolutionPass::forward_statistics && layer.shape.type == DType::f32);
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

}  // namespace

// Usage: cudnn_plans DESCRIPTION.json   (of one GPU; the others are derived from it)
int main(int argc, char** argv) try {
  if (argc != 2) fail(ExitCode::usage, "usage: cudnn_plans DESCRIPTION.json");
  std::ifstream file(argv[1]);
  if (!file) fail(ExitCode::data, "cannot read {}", argv[1]);
  nlohmann::json description = nlohmann::json::parse(file);
  fmt::print(
      "# cuDNN {}; plans: deterministic ones / all, in float32 without tf32; batch 192, fused passes a view "
      "of 64; -: not used\n",
      cudnn().version.text());
  fmt::print("gpu,layer,in_channels,type");
  for (const ConvolutionPass pass : kAllPasses) fmt::print(",{}", name_of(pass));
  fmt::print("\n");
  for (const Gpu& gpu :
       {Gpu{"sm_80", 800, 108, 166912}, {"sm_90", 900, 132, 232448}, {"sm_100", 1000, 148, 232448}}) {
    description["deviceVer"] = gpu.version;
    description["multiProcessorCount"] = gpu.processors;
    description["maxSharedMemoryPerBlockOptin"] = gpu.shared;
    const CudnnDevice device(description.dump());
    for (const Layer& l : layers()) {
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
