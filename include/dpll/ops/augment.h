// augment: gathers the samples of a batch from the uint8 data set and writes all views, augmented and
// normalised.
//
// Per view and sample the numbers drawn are words of PhiloxStream(seed, Purpose::augment, epoch, sample,
// view), at fixed positions whether or not a step is enabled: 0 flip (top bit set: mirrored), 1 and 2 crop
// offsets y and x, 3 and 4 centre y and x of the Cutout box; later positions belong to the colour policies.
// Order of operations: horizontal flip, reflect-padded crop, Cutout (black, before normalisation), policy,
// normalise: (pixel / 255 - mean) / std. Source: section 4 of the method's specification.
#pragma once

#include <array>
#include <cstdint>

#include "dpll/ops/common.h"

namespace dpll {

inline constexpr int kMaxImageChannels = 4;

struct ViewRecipe {
  bool flip = false;  // with probability 1/2
  int pad = 0;     // reflect padding in pixels, crop offsets uniform over 0..2*pad; 0 = no crop; < image side
  int cutout = 0;  // side of the box in pixels, clipped at the image's edges; 0 = none

  bool operator==(const ViewRecipe&) const = default;
};

struct AugmentSpec {
  int views = 1, batch = 1;
  int height = 1, width = 1, channels = 1;
  ViewRecipe weak;                                     // view 0
  ViewRecipe strong;                                   // views 1..
  std::array<float, kMaxImageChannels> mean{}, std{};  // of pixels scaled to [0, 1]
};

struct AugmentCall {
  Tensor images = {};  // compute [V*B, H, W, C]
  Tensor pixels = {};  // u8 [N, H, W, C]
  BatchRows rows = {};
};

class Augment {
 public:
  virtual ~Augment() = default;
  virtual void run(const AugmentCall& call) = 0;
};

}  // namespace dpll
