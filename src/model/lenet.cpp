// The LeNet of the published PLCR code, for 28x28 grey images:
//   conv 5x5 pad 2 -> 20, bn, relu, max 2x2;  conv 5x5 pad 2 -> 50, bn, relu, max 2x2;
//   linear -> 500, bn over features, relu;  linear -> classes
// Layers have biases; initial values are PyTorch's defaults, U(+-1/sqrt(fan_in)) for weights and biases.
#include "model/architectures.h"

namespace dpll {
namespace {

constexpr int kChannels1 = 20, kChannels2 = 50, kHidden = 500;

Activation add_stage(LayerList& net, const std::string& conv_name, const std::string& bn_name, Activation x,
                     int in, int out) {
  const ParameterId weight = net.conv_weight(conv_name, out, in, 5, InitRule::uniform_fan_in);
  const ParameterId bias = net.bias(conv_name, out, InitRule::uniform_fan_in, std::int64_t{25} * in);
  const BatchNormId bn = net.batch_norm(bn_name, out);
  const Activation y =
      net.add(Convolution{.layer = conv_name, .output = conv_name, .x = x, .weight = weight, .bias = bias}).y;
  return net.add(
      Activate{.layer = bn_name, .output = conv_name + " pool", .x = y, .bn = bn, .pool = Pool::max2});
}

}  // namespace

std::string add_lenet(LayerList& net) {
  const InputShape& input = net.input();
  if (input.height < 4 || input.width < 4) {
    fail(ExitCode::config, "lenet needs images of at least 4x4 pixels, these have {}x{}", input.height,
         input.width);
  }
  const Activation first =
                       add_stage(net, "conv.0", "conv.1", LayerList::images(), input.channels, kChannels1),
                   second = add_stage(net, "conv.4", "conv.5", first, kChannels1, kChannels2);
  const std::int64_t features = std::int64_t{kChannels2} * (input.height / 4) * (input.width / 4);
  const ParameterId weight = net.linear_weight("linear.0", kHidden, second),
                    bias = net.bias("linear.0", kHidden, InitRule::uniform_fan_in, features);
  const BatchNormId bn = net.batch_norm("linear.1", kHidden);
  const ParameterId last_weight = net.linear_weight("last", input.classes, kHidden),
                    last_bias = net.bias("last", input.classes, InitRule::uniform_fan_in, kHidden);
  const Activation hidden = net.add(
      LinearLayer{.layer = "linear.0", .output = "linear.0", .x = second, .weight = weight, .bias = bias});
  const Activation active =
      net.add(Activate{.layer = "linear.1", .output = "linear.0 pool", .x = hidden, .bn = bn});
  net.add_classifier("last", active, last_weight, last_bias);
  return "LeNet";
}

}  // namespace dpll
