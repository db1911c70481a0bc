// A finished run opened again: its configuration and its network with the trained weights.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "dpll/backend.h"
#include "dpll/data.h"
#include "dpll/model/network.h"
#include "dpll/views.h"

namespace dpll {

struct TrainedRun {
  RunConfig config;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Network> network;
  ViewSetup views;
};

// Opens `folder`; the network is built for images of `input` (height, width, channels and classes).
// Error(data) if the folder has no model or the model does not fit.
TrainedRun open_run(const std::string& folder, const RunConfig& config, const InputShape& input,
                    KeptModel model);

// The resolved configuration of a run folder.
RunConfig run_config(const std::string& folder);

// The properties of the network in the model file of `folder`: image size, classes and their names.
struct TrainedModelFile {
  InputShape input;
  std::vector<std::string> class_names;
  // Of feature vectors, what the training subtracted and multiplied by: DataSet::feature_means and
  // feature_scales. Empty in models of earlier versions.
  std::vector<double> feature_means, feature_scales;
};
// Error(data) with `source` if the network does not take images (or vectors) of this size.
void require_input(const std::string& source, const ImageSet& images, const InputShape& input);

// A model file without metadata, such as a state dict that PyTorch saved, is one of the configuration's data
// set, which is read where the catalogue does not know its sizes.
TrainedModelFile read_model_header(const std::string& folder, const RunConfig& config, KeptModel model);

}  // namespace dpll
