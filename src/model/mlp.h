// A multi-layer perceptron: linear, batch norm over features, relu for each hidden layer, then a linear layer
// to the classes. For tabular sets; images are flattened. Initial values are PyTorch's defaults,
// U(+-1/sqrt(fan_in)) for weights and biases.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dpll/model/network.h"

namespace dpll {

class Mlp final : public Network {
 public:
  Mlp(Backend& backend, const RunConfig::Model& model, const InputShape& input);

  std::string name() const override;  // "MLP-500"
  std::unique_ptr<Program> make_program(const ProgramSpec& spec) override;
  double forward_macs() const override;

 private:
  friend class MlpProgram;
  struct Layer {
    std::string name;  // "hidden.0"
    int inputs = 0, units = 0;
    ParameterId weight, bias;
    BatchNormId bn;  // of hidden layers
  };
  Layer add_layer(const std::string& name, int inputs, int units);

  std::vector<Layer> hidden_;
  Layer last_;
};

}  // namespace dpll
