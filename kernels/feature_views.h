// All views of a batch of feature vectors; see dpll/ops/feature_views.h.
#pragma once

#include <cstdint>

#include "dpll/ops/feature_views.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// What the kernel reads of FeatureViewsSpec and its call; device memory.
struct FeatureViewsTask {
  int views = 1, batch = 1, features = 1;
  FeatureRecipe weak = {}, strong = {};
  void* out = nullptr;                    // [V*B, D]
  const float* features_table = nullptr;  // [N, D]
  const StepState* step = nullptr;
  const std::int32_t* order = nullptr;  // [N] or null
  int ahead = 0;                        // see BatchRows
};

// A thread makes two features of a view.
void feature_views(const FeatureViewsTask& task, DType type, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
