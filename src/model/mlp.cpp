// A multi-layer perceptron: linear, batch norm over features (unless model.batch_norm = false), relu for each
// hidden layer, then a linear layer to the classes. For tabular sets; images are flattened. Initial values
// are PyTorch's defaults, U(+-1/sqrt(fan_in)) for weights and biases.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/architectures.h"

namespace dpll {

std::string add_mlp(LayerList& net, const RunConfig::Model& model) {
  const InputShape& input = net.input();
  Activation x = LayerList::images();
  int width = input.height * input.width * input.channels;
  for (std::size_t i = 0; i < model.hidden.size(); ++i) {
    const int units = model.hidden[i];
    const std::string name = fmt::format("hidden.{}", i), linear = name + ".linear";
    const ParameterId weight = net.linear_weight(linear, units, x),
                      bias = net.bias(linear, units, InitRule::uniform_fan_in, width);
    const BatchNormId bn = model.batch_norm ? net.batch_norm(name + ".bn", units) : BatchNormId{};
    x = net.add(LinearLayer{.layer = linear, .output = name, .x = x, .weight = weight, .bias = bias});
    x = net.add(Activate{.layer = name + ".relu", .output = name + " relu", .x = x, .bn = bn});
    width = units;
  }
  const ParameterId weight = net.linear_weight("last", input.classes, x),
                    bias = net.bias("last", input.classes, InitRule::uniform_fan_in, width);
  net.add_classifier("last", x, weight, bias);
  if (model.hidden.empty()) return "linear";
  return fmt::format("MLP-{}", fmt::join(model.hidden, "-"));
}

}  // namespace dpll
