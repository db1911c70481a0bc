// From the configuration to the recipes of the weak and strong views.
#pragma once

#include <array>

#include "dpll/config.h"
#include "dpll/ops/augment.h"

namespace dpll {

struct ViewSetup {
  ViewRecipe weak, strong;
  std::array<float, kMaxImageChannels> mean{}, std{};  // the first `channels` entries are set
};

// The data set's preset (section 4 of the method's specification; sets without one: crop with padding 4,
// flip, Cutout 16 on strong views, mean and std 0.5) with the overrides of [views] applied. A policy decides
// which steps a view has; pad and cutout are their sizes, for both kinds of view, and have no effect where
// the policy leaves the step out. Padding 0 is no crop and Cutout 0 no box. Throws Error(config) where
// padding is not smaller than the image's sides, where mean or std do not have one value per channel, or
// where a value is out of range; Error(data) for more than kMaxImageChannels channels.
ViewSetup resolve_views(const RunConfig& config, int height, int width, int channels);

}  // namespace dpll
