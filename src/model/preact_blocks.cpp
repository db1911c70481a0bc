#include "model/preact_blocks.h"

namespace dpll {

Activation add_preact_block(LayerList& net, Activation x, const PreactBlock& block) {
  const int in = net[x].channels, out = block.channels;
  const bool projects = in != out || block.stride != 1;
  const std::string conv1_name = block.name + ".conv1", conv2_name = block.name + ".conv2";
  const BatchNormId bn1 = net.batch_norm(block.name + ".bn1", in);
  const ParameterId conv1 = net.conv_weight(conv1_name, out, in, 3, block.init);
  const BatchNormId bn2 = net.batch_norm(block.name + ".bn2", out);
  const ParameterId conv2 = net.conv_weight(conv2_name, out, out, 3, block.init);
  ParameterId projection;
  if (projects) projection = net.conv_weight(block.name + "." + block.shortcut, out, in, 1, block.init);

  const Convolved first = net.add(Convolution{.layer = conv1_name,
                                              .output = conv1_name,
                                              .x = x,
                                              .weight = conv1,
                                              .stride = block.stride,
                                              .bn = bn1,
                                              .projection = projection});
  return net
      .add(Convolution{.layer = conv2_name,
                       .output = block.name,
                       .x = first.y,
                       .weight = conv2,
                       .bn = bn2,
                       .dropout = block.dropout,
                       .dropout_site = block.dropout_site,
                       .residual = projects ? first.projected : x})
      .y;
}

}  // namespace dpll
