// The Wide Residual Network of Zagoruyko & Komodakis (2016) with pre-activation blocks, as the published PLCR
// code uses it.
//
//   stem   conv 3x3, channels -> 16
//   3 groups of n = (depth - 4) / 6 blocks, widths 16k, 32k, 64k, strides 1, 2, 2
//   block  a = relu(bn1(x));  h = conv1(a);  y = conv2(dropout(relu(bn2(h)))) + shortcut
//          shortcut = x, or convShortcut(a), a 1x1 convolution, where the width changes
//   head   bn, relu, global average pool, linear
//
// Convolutions have no biases. Initial values: convolutions Kaiming normal (fan out), batch norm 1 and 0,
// linear weight PyTorch's default, linear bias 0.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dpll/model/network.h"

namespace dpll {

class WideResNet final : public Network {
 public:
  WideResNet(Backend& backend, const RunConfig::Model& model, const InputShape& input);

  std::string name() const override;
  std::unique_ptr<Program> make_program(const ProgramSpec& spec) override;
  double forward_macs() const override;

  struct BlockParameters {
    std::string name;           // "block1.layer.0"
    int height = 0, width = 0;  // of the block's input
    int in_channels = 0, out_channels = 0, stride = 1;
    BatchNormId bn1, bn2;
    ParameterId conv1, conv2, shortcut;
    bool projects() const { return in_channels != out_channels; }
  };

 private:
  friend class WideResNetProgram;
  static constexpr int kStemChannels = 16;

  RunConfig::Model model_;
  ParameterId stem_;
  std::vector<BlockParameters> blocks_;
  BatchNormId head_bn_;
  ParameterId fc_weight_, fc_bias_;
};

}  // namespace dpll
