// augment: gathers the samples of a batch from the uint8 data set and writes all views, augmented and
// normalised.
//
// The random numbers of each view and sample are words of PhiloxStream(seed, Purpose::augment, epoch, sample,
// view). Their positions are fixed, whether or not an operation is enabled:
//   0         flip (top bit set: mirrored)
//   1, 2      crop offsets y and x
//   3, 4      centre y and x of the Cutout box
//   5         sub-policy
//   6, 7      its first operation: is it applied (word / 2^32 < p), sign of its magnitude (top bit set:
//             negative)
//   8, 9      the same for its second operation
//   5 + 2i, 6 + 2i   RandAugment instead of a policy: operation i and the sign of its magnitude
// Order of operations: horizontal flip, reflect-padded crop, Cutout (black), policy, all on uint8; then
// normalise: (pixel / 255 - mean) / std. With cutout_after the policy comes before Cutout. Source: section 4
// of the method's specification; Cubuk et al., "AutoAugment", CVPR 2019, "RandAugment", NeurIPS 2020.
#pragma once

#include <array>
#include <cstdint>

#include "dpll/ops/augment_policy.h"
#include "dpll/ops/common.h"

namespace dpll {

inline constexpr int kMaxImageChannels = 4;

struct ViewRecipe {
  bool flip = false;  // with probability 1/2
  int pad = 0;     // reflect padding in pixels, crop offsets uniform over 0..2*pad; 0 = no crop; < image side
  int cutout = 0;  // side of the box in pixels, clipped at the image's edges; 0 = none
  AugmentPolicy policy = AugmentPolicy::none;  // needs images of 1 or 3 channels
  int rand_n = 0, rand_m = 0;  // of RandAugment: operations an image, 1..8, and their magnitude, 0..30
  bool cutout_after = false;   // Cutout after the policy

  bool operator==(const ViewRecipe&) const = default;
};

struct AugmentSpec {
  int views = 1, batch = 1;
  int height = 1, width = 1, channels = 1;  // of the pixels
  int zero_channels = 0;  // additional channels of the images, written as 0; see Backend::image_channels()
  ViewRecipe weak;        // view 0
  ViewRecipe strong;      // views 1..
  std::array<float, kMaxImageChannels> mean{}, std{};  // of pixels scaled to [0, 1]
};

// Error(internal) if a number of `spec` is out of range.
void check_spec(const AugmentSpec& spec);

struct AugmentCall {
  Tensor images = {};  // compute [V*B, H, W, C + zero_channels]
  Tensor pixels = {};  // u8 [N, H, W, C]
  BatchRows rows = {};
  bool beside = false;  // in the second queue, where the backend has one
};

class Augment {
 public:
  virtual ~Augment() = default;
  virtual void run(const AugmentCall& call) = 0;
};

}  // namespace dpll
