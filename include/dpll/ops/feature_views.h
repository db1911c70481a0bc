// feature_views: gathers the samples of a batch from a table of standardised features and writes all their
// views, for data without images. z is normal and u is uniform, both independent for every feature:
//   view[d] = u < dropout ? 0 : x[d] + noise * z
// 0 is the mean of the feature. Features 2b and 2b + 1 of a sample take block b of
// PhiloxStream(seed, Purpose::augment, epoch, sample, view): words 0 and 1 give both z (Box and Muller),
// words 2 and 3 their u, whether or not noise and dropout are enabled.
#pragma once

#include "dpll/ops/common.h"

namespace dpll {

struct FeatureRecipe {
  float noise = 0;    // standard deviation, at least 0
  float dropout = 0;  // in [0, 1)

  bool operator==(const FeatureRecipe&) const = default;
};

struct FeatureViewsSpec {
  int views = 1, batch = 1;
  int features = 1;
  FeatureRecipe weak = {};    // view 0
  FeatureRecipe strong = {};  // views 1..
};

// Error(internal) if a number of `spec` is out of range.
void check_spec(const FeatureViewsSpec& spec);

struct FeatureViewsCall {
  Tensor views = {};     // compute [V*B, 1, 1, D]
  Tensor features = {};  // f32 [N, D]
  BatchRows rows = {};
  bool beside = false;  // in the second queue, where the backend has one
};

class FeatureViews {
 public:
  virtual ~FeatureViews() = default;
  virtual void run(const FeatureViewsCall& call) = 0;
};

}  // namespace dpll
