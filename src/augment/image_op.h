// The operations of the policies, their magnitudes, and the parts of an operation that can be computed
// without an image. The computation of the pixels is in pixel_ops.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "dpll/core/host_device.h"

namespace dpll {

// RandAugment draws one of those before invert by its number, so reproducibility depends on the order.
enum class ImageOp : std::uint8_t {
  identity,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
  rotate,
  brightness,
  color,
  contrast,
  sharpness,
  posterize,
  solarize,
  autocontrast,
  equalize,
  invert,
  hue,   // of colour jitter
  grey,  // all channels become the luma
};
inline constexpr int kImageOps = 17;

inline constexpr int kPolicyLevels = 10;  // magnitudes of sub-policies: levels 0..9
inline constexpr int kRandLevels = 31;    // of RandAugment, as in torchvision: 0..30
inline constexpr int kMaxOpSide = 8192;   // pixels; keeps rotate's fixed-point coordinates within 32 bits

// An operation with its magnitude and sign for images of one size. It is POD, so that a table of them can be
// in constant memory. Members that the operation does not use are 0.
struct OpSetting {
  ImageOp op = ImageOp::identity;
  std::int32_t bits = 0;       // posterize: the number of high bits that are kept
  std::int32_t threshold = 0;  // solarize: this value and larger ones are inverted
  // translate: output pixel i shows input pixel i + shift; hue: added to the hue of one byte, 0..255
  std::int32_t shift = 0;
  float factor = 0;  // brightness, color, contrast, sharpness: 1 does not change the image
  // rotate, in 1/65536 pixel: output pixel (y, x) shows input column (rotation[0] x + rotation[1] y +
  // rotation[2]) >> 16, row (rotation[3] x + rotation[4] y + rotation[5]) >> 16
  std::int32_t rotation[6] = {};
  double slope = 0;  // shear: shift in pixels per row or column
};

// "shearX", as the literature writes them.
const char* op_name(ImageOp op);
std::optional<ImageOp> op_named(std::string_view name);

// Magnitude at level 0..levels-1 of AutoAugment's range: shear 0..0.3, translate 0..150/331 of the side,
// rotate 0..30 degrees, brightness, color, contrast and sharpness 0..0.9 (factor 1 + magnitude), posterize 8
// to 4 bits (rounded half to even), solarize 256..0; 0 for the others. As numpy.linspace gives it.
double op_magnitude(ImageOp op, int level, int levels);

// Do policies draw a sign for the magnitude? False for rotate, because the policies differ there.
DPLL_HD bool op_is_signed(ImageOp op) {
  return (op >= ImageOp::shear_x && op <= ImageOp::translate_y) ||
         (op >= ImageOp::brightness && op <= ImageOp::sharpness);
}

// `magnitude` includes the sign. Sides are 1 to kMaxOpSide. Angles are counter-clockwise; a positive
// magnitude of shear or translate moves the content to the left or up. That of hue is in turns of the colour
// circle. Error(usage) if the magnitude is not finite, for posterize not a whole number of 1 to 8 bits, or
// for hue not in -0.5 to 0.5.
OpSetting prepare_op(ImageOp op, double magnitude, int height, int width);

}  // namespace dpll
