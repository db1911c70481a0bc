#include <algorithm>

#include "dpll/ops/augment.h"

namespace dpll {

void check_spec(const AugmentSpec& spec) {
  DPLL_CHECK(spec.views >= 1 && spec.batch >= 1 && spec.height >= 1 && spec.width >= 1,
             "augment of {} views, batch {}, {} x {}", spec.views, spec.batch, spec.height, spec.width);
  DPLL_CHECK(spec.channels >= 1 && spec.channels <= kMaxImageChannels && spec.zero_channels >= 0,
             "augment of {} channels, {} zero", spec.channels, spec.zero_channels);
  for (const ViewRecipe& recipe : {spec.weak, spec.strong}) {
    DPLL_CHECK(recipe.pad >= 0 && recipe.pad < std::min(spec.height, spec.width) && recipe.cutout >= 0,
               "augment with pad {}, cutout {} of images {} x {}", recipe.pad, recipe.cutout, spec.height,
               spec.width);
    DPLL_CHECK(recipe.policy == AugmentPolicy::none || spec.channels == 1 || spec.channels == 3,
               "a policy for {} channels", spec.channels);
  }
}

}  // namespace dpll
