// Residual networks of post-activation blocks (He et al. 2016, "Deep residual learning"), for small images.
//
//   stem    conv 3x3, channels -> 16 (resnet18: 64);  bn, relu
//   groups  resnet: 3 of n = (depth - 2) / 6 blocks, widths 16, 32, 64; resnet18: 4 of 2 blocks, widths 64,
//   128,
//           256, 512; the first block of every group but the first has stride 2
//   block   h = conv1(x);  g = conv2(relu(bn1(h)));  y = relu(bn2(g) + shortcut)
//   head    global average pool, linear
//
// The shortcut is x. Where the width changes it is bn(conv1x1(x)), `downsample.0` and `.1`; or, with
// model.shortcut = identity (resnet alone), x itself: every second pixel, and zeros for the new channels,
// half of them on each side. Names are those of torchvision's ResNet. Convolutions have no biases. Initial
// values are torchvision's, too: convolutions Kaiming normal (fan out), batch norm 1 and 0, linear weight and
// bias PyTorch's default.
#include <fmt/format.h>

#include "model/architectures.h"

namespace dpll {
namespace {

constexpr InitRule kConvInit = InitRule::kaiming_normal_fan_out;

Activation add_block(LayerList& net, const std::string& name, Activation x, int out, int stride,
                     ShortcutKind kind) {
  const int in = net[x].channels;
  const bool projects = (in != out || stride != 1) && kind == ShortcutKind::projection;
  const std::string conv1_name = name + ".conv1", conv2_name = name + ".conv2",
                    down_name = name + ".downsample.0";
  const ParameterId conv1 = net.conv_weight(conv1_name, out, in, 3, kConvInit);
  const BatchNormId bn1 = net.batch_norm(name + ".bn1", out);
  const ParameterId conv2 = net.conv_weight(conv2_name, out, out, 3, kConvInit);
  const BatchNormId bn2 = net.batch_norm(name + ".bn2", out);
  ParameterId down;
  BatchNormId down_bn;
  if (projects) {
    down = net.conv_weight(down_name, out, in, 1, kConvInit);
    down_bn = net.batch_norm(name + ".downsample.1", out);
  }

  const Activation h =
      net.add(Convolution{
                  .layer = conv1_name, .output = conv1_name, .x = x, .weight = conv1, .stride = stride})
          .y;
  const Activation g =
      net.add(Convolution{.layer = conv2_name, .output = conv2_name, .x = h, .weight = conv2, .bn = bn1}).y;
  Activation shortcut = x;
  if (projects) {
    shortcut = net.add(Convolution{
                           .layer = down_name, .output = down_name, .x = x, .weight = down, .stride = stride})
                   .y;
  }
  return net.add(Activate{.layer = name + ".bn2",
                          .output = name,
                          .x = g,
                          .bn = bn2,
                          .shortcut = shortcut,
                          .shortcut_bn = down_bn});
}

struct Groups {
  int count, blocks, first_channels;
  ShortcutKind shortcut;
};

void add_network(LayerList& net, const Groups& groups) {
  const InputShape& input = net.input();
  const ParameterId stem = net.conv_weight("conv1", groups.first_channels, input.channels, 3, kConvInit);
  const BatchNormId stem_bn = net.batch_norm("bn1", groups.first_channels);
  Activation x =
      net.add(Convolution{.layer = "conv1", .output = "conv1", .x = LayerList::images(), .weight = stem}).y;
  x = net.add(Activate{.layer = "bn1", .output = "bn1", .x = x, .bn = stem_bn});
  for (int group = 0; group < groups.count; ++group) {
    for (int i = 0; i < groups.blocks; ++i) {
      x = add_block(net, fmt::format("layer{}.{}", group + 1, i), x, groups.first_channels << group,
                    group > 0 && i == 0 ? 2 : 1, groups.shortcut);
    }
  }
  const int channels = net[x].channels;
  const ParameterId weight = net.linear_weight("fc", input.classes, channels),
                    bias = net.bias("fc", input.classes, InitRule::uniform_fan_in, channels);
  x = net.add(
      Activate{.layer = "avgpool", .output = "pool", .x = x, .pool = Pool::global_average, .relu = false});
  net.add_classifier("fc", x, weight, bias);
}

std::string name_of(const std::string& name, int channels, int published) {
  return channels == published ? name : fmt::format("{} of {} channels", name, channels);
}

}  // namespace

std::string add_resnet(LayerList& net, const RunConfig::Model& model) {
  const int depth = depth_of(model), channels = model.channels == 0 ? 16 : model.channels;
  DPLL_CHECK(depth >= 8 && (depth - 2) % 6 == 0, "depth {} is not 6n + 2", depth);
  if (model.shortcut == ShortcutKind::identity) net.do_not_pad();
  add_network(net, {3, (depth - 2) / 6, channels, model.shortcut});
  const std::string name = name_of(fmt::format("ResNet-{}", depth), channels, 16);
  return model.shortcut == ShortcutKind::identity ? name + " with identity shortcuts" : name;
}

std::string add_resnet18(LayerList& net, const RunConfig::Model& model) {
  const int channels = model.channels == 0 ? 64 : model.channels;
  add_network(net, {4, 2, channels, ShortcutKind::projection});
  return name_of("ResNet-18", channels, 64);
}

}  // namespace dpll
