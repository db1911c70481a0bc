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
//   32 + 4i .. 35 + 4i   attempt i of 10 at a resized crop: share of the area, ratio of width to height,
//   first
//             row, first column
//   72..74    colour jitter: does it happen, the order of its changes; does the view become grey
//   76..79    factors of brightness, contrast and saturation, change of the hue
// Order of operations: horizontal flip and shifted crop, or resized crop and horizontal flip; Cutout (black),
// colour jitter, grey, policy, all on uint8; then normalise: (pixel / 255 - mean) / std. With cutout_after
// Cutout comes after the policy. Sources: section 4 of the method's specification; Cubuk et al.,
// "AutoAugment", CVPR 2019, "RandAugment", NeurIPS 2020; RandomResizedCrop, ColorJitter and RandomGrayscale
// of torchvision for Pillow's images.
#pragma once

#include <array>
#include <cstdint>

#include "dpll/ops/augment_policy.h"
#include "dpll/ops/common.h"

namespace dpll {

inline constexpr int kMaxImageChannels = 4;

// Ranges of a resized crop. The logarithms are members because those of host and device differ in last bits.
struct ResizedCrop {
  double scale_low = 1, scale_high = 1;  // share of the image's area, in (0, 1]
  double ratio_low = 1, ratio_high = 1;  // width / height
  double log_ratio_low = 0, log_ratio_high = 0;

  bool operator==(const ResizedCrop&) const = default;
};
ResizedCrop resized_crop(double scale_low, double scale_high, double ratio_low, double ratio_high);

// Changes of the colours in random order. A change of 0 is left out.
struct ColourJitter {
  float probability = 0;
  float brightness = 0, contrast = 0, saturation = 0;  // factors uniform in max(0, 1 - x) to 1 + x
  float hue = 0;                                       // uniform in -x to x, in turns; at most 0.5

  bool operator==(const ColourJitter&) const = default;
};

struct ViewRecipe {
  bool flip = false;  // with probability 1/2
  int pad = 0;        // border of a shifted crop, offsets uniform over 0..2*pad; 0 = no shift; < image side
  int cutout = 0;     // side of the box in pixels, clipped at the image's edges; 0 = none
  AugmentPolicy policy = AugmentPolicy::none;  // needs images of 1 or 3 channels
  int rand_n = 0, rand_m = 0;  // of RandAugment: operations an image, 1..8, and their magnitude, 0..30
  bool cutout_after = false;   // Cutout after the policy
  CropKind crop = CropKind::shifted;
  CropPadding padding = CropPadding::reflect;
  ResizedCrop resized = {};  // of crop = resized
  ColourJitter jitter = {};  // needs images of 1 or 3 channels
  float grey = 0;            // probability that the colours are removed; likewise

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
