#include "augment/policies.h"

#include <algorithm>

#include "dpll/core/check.h"

namespace dpll {

std::span<const SubPolicy> sub_policies(AugmentPolicy policy) {
  switch (policy) {
    case AugmentPolicy::plcr_cifar:
      return kPlcrCifarPolicy;
    case AugmentPolicy::svhn:
      return kSvhnPolicy;
    case AugmentPolicy::autoaugment_cifar:
      return kAutoaugmentCifarPolicy;
    case AugmentPolicy::none:
    case AugmentPolicy::randaugment:
      break;
  }
  return {};
}

PreparedPolicy prepare_policy(const ViewRecipe& recipe, int height, int width) {
  PreparedPolicy prepared{};
  prepared.recipe = recipe;
  if (recipe.policy == AugmentPolicy::none) return prepared;
  const bool rand = recipe.policy == AugmentPolicy::randaugment;
  const std::span<const SubPolicy> table = sub_policies(recipe.policy);
  if (rand) {
    DPLL_CHECK(recipe.rand_n >= 1 && recipe.rand_n <= kMaxPolicyOps && recipe.rand_m >= 0 &&
                   recipe.rand_m < kRandLevels,
               "RandAugment({}, {})", recipe.rand_n, recipe.rand_m);
    prepared.rand_n = recipe.rand_n;
  }
  prepared.entries = static_cast<std::int32_t>(table.size());
  prepared.signed_rotate = rand || recipe.policy == AugmentPolicy::autoaugment_cifar ? 1 : 0;
  std::copy(table.begin(), table.end(), prepared.table);
  for (int op = 0; op < kImageOps; ++op) {
    const auto which = static_cast<ImageOp>(op);
    for (int level = 0; level < (rand ? 1 : kPolicyLevels); ++level) {
      const double magnitude =
          rand ? op_magnitude(which, recipe.rand_m, kRandLevels) : op_magnitude(which, level, kPolicyLevels);
      const bool has_sign = op_is_signed(which) || which == ImageOp::rotate;
      prepared.settings[op][level][0] = prepare_op(which, magnitude, height, width);
      prepared.settings[op][level][1] = prepare_op(which, has_sign ? -magnitude : magnitude, height, width);
    }
  }
  return prepared;
}

}  // namespace dpll
