// The augmentation and normalisation of each data set in the published experiments.
#pragma once

#include <vector>

#include "dpll/config.h"

namespace dpll {

struct ViewPreset {
  ViewPolicy weak, strong;
  AugmentPolicy policy;  // of strong views
  int pad, cutout;
  std::vector<double> mean, std;  // a single value holds for every channel
};

// From section 4 of the method's specification.
const ViewPreset& view_preset(DatasetKind kind);

}  // namespace dpll
