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
};

Layer layer(const char* name, int side, int in, int out, int kernel, int stride, int pad) {
  return {name, {192, side, side, in, out, kernel, stride, pad, DType::f16}};
}

std::vector<Layer> layers() {
  return {layer("wrn stem", 32, 3, 16, 3, 1, 1),
          layer("wrn-28-2 group 1", 32, 32, 32, 3, 1, 1),
          layer("wrn-28-2 group 2 down", 32, 32, 64, 3, 2, 1),
          layer("wrn-28-2 group 2 shortcut", 32, 32, 64, 1, 2, 0),
          layer("wrn-28-2 group 3", 8, 128, 128, 3, 1, 1),
          layer("wrn-34-10 group 1", 32, 160, 160, 3, 1, 1),
          layer("wrn-34-10 group 2 down", 32, 160, 320, 3, 2, 1),
          layer("wrn-34-10 group 2", 16, 320, 320, 3, 1, 1),
          layer("wrn-34-10 group 3", 8, 640, 640, 3, 1, 1),
          layer("lenet conv 1", 28, 1, 6, 5, 1, 2),
          layer("lenet conv 2", 14, 6, 16, 5, 1, 0)};
}

struct Gpu {
  const char* name;
  int version, processors, shared;
};

}  // namespace

// Usage: cudnn_plans DESCRIPTION.json   (of one GPU; the others are derived from it)
int main(int argc, char** argv) try {
  if (argc != 2) fail(ExitCode::usage, "usage: cudnn_plans DESCRIPTION.json");
  std::ifstream file(argv[1]);
  if (!file) fail(ExitCode::data, "cannot read {}", argv[1]);
  nlohmann::json description = nlohmann::json::parse(file);
  fmt::print("# cuDNN {}; plans: deterministic ones / all, in float32 without tf32; batch 192\n",
             cudnn().version.text());
  fmt::print("gpu,layer,type,forward,data_gradient,weight_gradient\n");
  for (const Gpu& gpu :
       {Gpu{"sm_80", 800, 108, 166912}, {"sm_90", 900, 132, 232448}, {"sm_100", 1000, 148, 232448}}) {
    description["deviceVer"] = gpu.version;
    description["multiProcessorCount"] = gpu.processors;
    description["maxSharedMemoryPerBlockOptin"] = gpu.shared;
    const CudnnDevice device(description.dump());
    for (Layer l : layers()) {
      for (const DType type : {DType::f16, DType::bf16, DType::f32}) {
        l.shape.type = type;
        fmt::print("{},{},{}", gpu.name, l.name, dpll::name_of(type));
        for (const ConvolutionPass pass :
             {ConvolutionPass::forward, ConvolutionPass::data_gradient, ConvolutionPass::weight_gradient}) {
          const auto count = [&](bool deterministic) {
            return convolution_plans(device, l.shape, pass, {.deterministic = deterministic}, 1000).size();
          };
          fmt::print(",{}/{}", count(true), count(false));
        }
        fmt::print("\n");
      }
    }
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return static_cast<int>(ExitCode::device);
}
