// What networks of pre-activation blocks have in common (He et al. 2016, "Identity mappings"):
//   a = relu(bn1(x));  h = conv1(a);  y = conv2(dropout(relu(bn2(h)))) + shortcut
// where the shortcut is x, or a 1x1 convolution of a where width or resolution change.
#pragma once

#include <string>

#include "model/layers.h"

namespace dpll {

struct PreactBlock {
  std::string name;      // "block1.layer.0"
  std::string shortcut;  // the projection's: "convShortcut"
  int channels = 1;      // of y
  int stride = 1;
  InitRule init = InitRule::kaiming_normal_fan_out;  // of its convolutions
  double dropout = 0;
  int dropout_site = 0;
};

Activation add_preact_block(LayerList& net, Activation x, const PreactBlock& block);

}  // namespace dpll
