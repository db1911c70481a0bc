// How the published experiments augment and normalise each data set.
#pragma once

#include <vector>

#include "dpll/config.h"

namespace dpll {

struct ViewPreset {
  ViewPolicy weak, strong;
  int pad, cutout;
  std::vector<double> mean, std;  // a single value counts for every channel
};

// Section 4 of the method's specification. The colour policies that CIFAR and SVHN add to the strong views
// are not part of ViewPolicy.
const ViewPreset& view_preset(DatasetKind kind);

}  // namespace dpll
