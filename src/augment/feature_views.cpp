#include "dpll/ops/feature_views.h"

#include "dpll/core/check.h"

namespace dpll {

void check_spec(const FeatureViewsSpec& spec) {
  DPLL_CHECK(spec.views >= 1 && spec.batch >= 1 && spec.features >= 1, "{} views, batch {}, {} features",
             spec.views, spec.batch, spec.features);
  for (const FeatureRecipe& recipe : {spec.weak, spec.strong}) {
    DPLL_CHECK(recipe.noise >= 0 && recipe.dropout >= 0 && recipe.dropout < 1, "noise {}, dropout {}",
               recipe.noise, recipe.dropout);
  }
}

}  // namespace dpll
