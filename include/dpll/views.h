// Makes the recipes of the weak and strong views from the configuration.
#pragma once

#include <array>
#include <cstdint>

#include "dpll/config.h"
#include "dpll/ops/augment.h"
#include "dpll/ops/feature_views.h"

namespace dpll {

struct ViewSetup {
  ViewRecipe weak, strong;
  std::array<float, kMaxImageChannels> mean{}, std{};  // the first `channels` entries are set
  FeatureRecipe weak_features, strong_features;        // of tabular sets, which have none of the above
};

// Whether samples of this size are feature vectors: those of tabular sets, and those of a user's own arrays
// that are no images (an image has more than one pixel there).
bool takes_features(const RunConfig& config, std::int64_t height, std::int64_t width);

// The data set's preset (section 4 of the method's specification; sets without one: crop with padding 4,
// flip, Cutout 16 on strong views, no AutoAugment policy, mean and std 0.5) with the overrides of [views]
// applied. weak_policy and strong_policy choose the operations of a view; pad and cutout are their sizes, for
// both kinds of view, and have no effect if the operation is not chosen. Padding 0 means no crop and Cutout 0
// no box. If strong_policy is set, the preset's AutoAugment policy is not used. A resized crop has no
// padding. Throws Error(config) if the padding is not smaller than the sides of the image, if mean or std do
// not have one value per channel, if a value is out of range, or if a policy, colour jitter or grey is used
// for images with neither 1 nor 3 channels; Error(data) for more than kMaxImageChannels channels. Tabular
// sets have only the feature recipes: by default the weak view is the sample itself, and strong views have
// noise of 0.2 standard deviations and 0.1 of their features dropped.
ViewSetup resolve_views(const RunConfig& config, int height, int width, int channels);

}  // namespace dpll
