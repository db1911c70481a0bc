// The per-feature arithmetic of feature_views (dpll/ops/feature_views.h), for the CPU and the GPU.
#pragma once

#include <cmath>

#include "dpll/core/philox.h"
#include "dpll/ops/feature_views.h"

namespace dpll {

// Both features of Philox block `block`: replaces x[0] and x[1] by the features of the view.
DPLL_HD void draw_feature_pair(float (&x)[2], std::uint32_t block, const FeatureRecipe& recipe,
                               const StepState& step, std::uint32_t sample, std::uint32_t view) {
  const Philox4 words = philox4x32(step.seed, block, sample, step.epoch,
                                   static_cast<std::uint32_t>(Purpose::augment) | (view << 16));
  if (recipe.noise > 0) {
    // In (0, 1): the logarithm stays finite.
    const float u = static_cast<float>(words.v[0] >> 9) * 0x1p-23f + 0x1p-24f;
    const float radius = recipe.noise * sqrtf(-2 * logf(u));
    const float angle = 6.28318530717958648f * uniform_float(words.v[1]);
    x[0] += radius * cosf(angle);
    x[1] += radius * sinf(angle);
  }
  for (int i = 0; i < 2; ++i) {
    if (uniform_float(words.v[2 + i]) < recipe.dropout) x[i] = 0;
  }
}

}  // namespace dpll
