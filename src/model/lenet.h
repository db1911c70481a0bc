// The LeNet of the published PLCR code, for 28x28 grey images:
//   conv 5x5 pad 2 -> 20, bn, relu, max 2x2;  conv 5x5 pad 2 -> 50, bn, relu, max 2x2;
//   linear -> 500, bn over features, relu;  linear -> classes
// Layers have biases; initial values are PyTorch's defaults, U(+-1/sqrt(fan_in)) for weights and biases.
#pragma once

#include <memory>
#include <string>

#include "dpll/model/network.h"

namespace dpll {

class LeNet final : public Network {
 public:
  LeNet(Backend& backend, const InputShape& input);

  std::string name() const override { return "LeNet"; }
  std::unique_ptr<Program> make_program(const ProgramSpec& spec) override;
  double forward_macs() const override;

 private:
  friend class LeNetProgram;
  static constexpr int kChannels1 = 20, kChannels2 = 50, kHidden = 500;

  ParameterId conv1_weight_, conv1_bias_, conv2_weight_, conv2_bias_;
  BatchNormId bn1_, bn2_, bn3_;
  ParameterId hidden_weight_, hidden_bias_, last_weight_, last_bias_;
};

}  // namespace dpll
