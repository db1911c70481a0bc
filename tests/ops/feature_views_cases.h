// Shapes and recipes of feature_views: one table for comparisons of backends and benchmarks.
#pragma once

#include <vector>

#include "dpll/ops/feature_views.h"

namespace dpll::test {

struct FeatureViewsCase {
  const char* name;
  FeatureViewsSpec spec;
  bool ordered = true;     // BatchRows::order is given
  bool benchmark = false;  // a real size: timed, not run by the tests
};

inline std::vector<FeatureViewsCase> small_feature_views_cases() {
  const FeatureRecipe noise = {.noise = 0.2F}, dropout = {.dropout = 0.3F},
                      both = {.noise = 0.5F, .dropout = 0.1F};
  return {
      {"plain", {.views = 1, .batch = 5, .features = 7}, false},
      {"noise", {.views = 3, .batch = 4, .features = 8, .weak = {}, .strong = noise}},
      {"dropout", {.views = 2, .batch = 9, .features = 33, .weak = dropout, .strong = dropout}},
      {"both", {.views = 3, .batch = 16, .features = 108, .weak = noise, .strong = both}},
      {"one_feature", {.views = 2, .batch = 3, .features = 1, .weak = both, .strong = both}},
      {"more_than_a_block", {.views = 4, .batch = 7, .features = 163, .weak = {}, .strong = both}, false},
  };
}

inline std::vector<FeatureViewsCase> benchmark_feature_views_cases() {
  return {{"64x3 Lost",
           {.views = 3, .batch = 64, .features = 108, .weak = {}, .strong = {.noise = 0.2F, .dropout = 0.1F}},
           true,
           true}};
}

}  // namespace dpll::test
