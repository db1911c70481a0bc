// The networks, one file each: parameters under their published names, then a list of layers. Each returns
// the network's name for logs and files, "WRN-28-2". Error(config) where the images do not fit.
#pragma once

#include <string>

#include "model/layers.h"

namespace dpll {

std::string add_lenet(LayerList& net);
std::string add_mlp(LayerList& net, const RunConfig::Model& model);
std::string add_wide_resnet(LayerList& net, const RunConfig::Model& model);
std::string add_resnet(LayerList& net, const RunConfig::Model& model);
std::string add_resnet18(LayerList& net, const RunConfig::Model& model);
std::string add_preact_resnet18(LayerList& net, const RunConfig::Model& model);

}  // namespace dpll
