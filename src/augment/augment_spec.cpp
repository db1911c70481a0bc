#include <algorithm>
#include <cmath>

#include "dpll/ops/augment.h"

namespace dpll {

ResizedCrop resized_crop(double scale_low, double scale_high, double ratio_low, double ratio_high) {
  return {scale_low, scale_high, ratio_low, ratio_high, std::log(ratio_low), std::log(ratio_high)};
}

void check_spec(const AugmentSpec& spec) {
  DPLL_CHECK(spec.views >= 1 && spec.batch >= 1 && spec.height >= 1 && spec.width >= 1,
             "augment of {} views, batch {}, {} x {}", spec.views, spec.batch, spec.height, spec.width);
  DPLL_CHECK(spec.channels >= 1 && spec.channels <= kMaxImageChannels && spec.zero_channels >= 0,
             "augment of {} channels, {} zero", spec.channels, spec.zero_channels);
  for (const ViewRecipe& recipe : {spec.weak, spec.strong}) {
    DPLL_CHECK(recipe.pad >= 0 && recipe.pad < std::min(spec.height, spec.width) && recipe.cutout >= 0,
               "augment with pad {}, cutout {} of images {} x {}", recipe.pad, recipe.cutout, spec.height,
               spec.width);
    const bool colours =
        recipe.policy != AugmentPolicy::none || recipe.jitter.probability > 0 || recipe.grey > 0;
    DPLL_CHECK(!colours || spec.channels == 1 || spec.channels == 3, "a policy for {} channels",
               spec.channels);
    const ResizedCrop& crop = recipe.resized;
    DPLL_CHECK(crop.scale_low > 0 && crop.scale_low <= crop.scale_high && crop.scale_high <= 1 &&
                   crop.ratio_low > 0 && crop.ratio_low <= crop.ratio_high,
               "a resized crop of scale {} to {}, ratio {} to {}", crop.scale_low, crop.scale_high,
               crop.ratio_low, crop.ratio_high);
  }
}

}  // namespace dpll
