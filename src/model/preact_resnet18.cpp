// PreAct ResNet-18 for small images, with the layout and the names of the PyTorch module that is customary
// for CIFAR (kuangliu's pytorch-cifar): He et al. 2016, "Identity mappings in deep residual networks".
//
//   stem   conv 3x3, channels -> 64
//   4 groups of 2 blocks (preact_blocks.h), widths 64, 128, 256, 512, strides 1, 2, 2, 2
//   head   global average pool, linear: without a last batch norm, as that module
//
// Convolutions have no biases. Initial values are PyTorch's defaults: U(+-1/sqrt(fan_in)) for the weights of
// convolutions and for the linear layer and its bias, batch norm 1 and 0.
#include <fmt/format.h>

#include "model/architectures.h"
#include "model/preact_blocks.h"

namespace dpll {

std::string add_preact_resnet18(LayerList& net, const RunConfig::Model& model) {
  const int first = model.channels == 0 ? 64 : model.channels;
  const InputShape& input = net.input();
  const ParameterId stem = net.conv_weight("conv1", first, input.channels, 3, InitRule::uniform_fan_in);
  Activation x =
      net.add(Convolution{.layer = "conv1", .output = "conv1", .x = LayerList::images(), .weight = stem}).y;
  for (int group = 0; group < 4; ++group) {
    for (int i = 0; i < 2; ++i) {
      x = add_preact_block(net, x,
                           {.name = fmt::format("layer{}.{}", group + 1, i),
                            .shortcut = "shortcut.0",
                            .channels = first << group,
                            .stride = group > 0 && i == 0 ? 2 : 1,
                            .init = InitRule::uniform_fan_in});
    }
  }
  const int channels = net[x].channels;
  const ParameterId weight = net.linear_weight("linear", input.classes, channels),
                    bias = net.bias("linear", input.classes, InitRule::uniform_fan_in, channels);
  x = net.add(
      Activate{.layer = "pool", .output = "pool", .x = x, .pool = Pool::global_average, .relu = false});
  net.add_classifier("linear", x, weight, bias);
  return first == 64 ? "PreActResNet-18" : fmt::format("PreActResNet-18 of {} channels", first);
}

}  // namespace dpll
