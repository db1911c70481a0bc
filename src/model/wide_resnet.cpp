// The Wide Residual Network of Zagoruyko & Komodakis (2016) with pre-activation blocks, as the published PLCR
// code uses it.
//
//   stem   conv 3x3, channels -> 16
//   3 groups of n = (depth - 4) / 6 blocks (preact_blocks.h), widths 16k, 32k, 64k, strides 1, 2, 2
//   head   bn, relu, global average pool, linear
//
// Convolutions have no biases. Initial values: convolutions Kaiming normal (fan out), batch norm 1 and 0,
// linear weight PyTorch's default, linear bias 0.
#include <fmt/format.h>

#include "model/architectures.h"
#include "model/preact_blocks.h"

namespace dpll {

std::string add_wide_resnet(LayerList& net, const RunConfig::Model& model) {
  constexpr int kStemChannels = 16;
  const int depth = depth_of(model);
  DPLL_CHECK(depth >= 10 && (depth - 4) % 6 == 0, "depth {} is not 6n + 4", depth);
  const InputShape& input = net.input();
  if (input.height < 4 || input.width < 4) {
    fail(ExitCode::config, "a wide residual network needs images of at least 4x4 pixels, these have {}x{}",
         input.height, input.width);
  }
  const ParameterId stem =
      net.conv_weight("conv1", kStemChannels, input.channels, 3, InitRule::kaiming_normal_fan_out);
  Activation x =
      net.add(Convolution{.layer = "conv1", .output = "conv1", .x = LayerList::images(), .weight = stem}).y;
  int blocks = 0;
  for (int group = 0; group < 3; ++group) {
    for (int i = 0; i < (depth - 4) / 6; ++i) {
      x = add_preact_block(net, x,
                           {.name = fmt::format("block{}.layer.{}", group + 1, i),
                            .shortcut = "convShortcut",
                            .channels = kStemChannels * model.width << group,
                            .stride = group > 0 && i == 0 ? 2 : 1,
                            .dropout = model.dropout,
                            .dropout_site = blocks++});
    }
  }
  const int channels = net[x].channels;
  const BatchNormId bn = net.batch_norm("bn1", channels);
  const ParameterId weight = net.linear_weight("fc", input.classes, channels),
                    bias = net.bias("fc", input.classes, InitRule::zeros);
  x = net.add(Activate{.layer = "bn1", .output = "pool", .x = x, .bn = bn, .pool = Pool::global_average});
  net.add_classifier("fc", x, weight, bias);
  return fmt::format("WRN-{}-{}", depth, model.width);
}

}  // namespace dpll
