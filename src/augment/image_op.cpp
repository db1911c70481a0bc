#include "augment/image_op.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numbers>

#include "augment/hue.h"
#include "dpll/core/check.h"

namespace dpll {
namespace {

constexpr std::array<const char*, kImageOps> kNames = {
    "identity",     "shearX",   "shearY",   "translateX", "translateY", "rotate",
    "brightness",   "color",    "contrast", "sharpness",  "posterize",  "solarize",
    "autocontrast", "equalize", "invert",   "hue",        "grey"};

// numpy.linspace(low, high, levels)[level]
double linspace(double low, double high, int level, int levels) {
  if (level == levels - 1) return high;
  const double step = (high - low) / (levels - 1);
  return level * step + low;
}

// Python's round(value, 15): Pillow makes rotation matrices with it.
double rounded_to_15_digits(double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.15f", value);
  return std::strtod(text.data(), nullptr);
}

std::int32_t fixed_point(double value) {
  return static_cast<std::int32_t>(std::floor(value * 65536.0 + 0.5));
}

// Pillow's Image.rotate: the inverse map about the centre, with pixel centres at one half.
void prepare_rotation(OpSetting& setting, double degrees, int height, int width) {
  double turn = std::fmod(degrees, 360.0);
  if (turn < 0) turn += 360.0;
  const double angle = -(turn * (std::numbers::pi / 180.0));
  const double cosine = rounded_to_15_digits(std::cos(angle));
  const double sine = rounded_to_15_digits(std::sin(angle));
  const double minus_sine = rounded_to_15_digits(-std::sin(angle));
  const double centre_x = width / 2.0, centre_y = height / 2.0;
  const double offset_x = cosine * -centre_x + sine * -centre_y + centre_x;
  const double offset_y = minus_sine * -centre_x + cosine * -centre_y + centre_y;
  setting.rotation[0] = fixed_point(cosine);
  setting.rotation[1] = fixed_point(sine);
  setting.rotation[2] = fixed_point(offset_x + cosine * 0.5 + sine * 0.5);
  setting.rotation[3] = fixed_point(minus_sine);
  setting.rotation[4] = fixed_point(cosine);
  setting.rotation[5] = fixed_point(offset_y + minus_sine * 0.5 + cosine * 0.5);
}

// The whole pixels of a shift by `magnitude` sides, nearest-neighbour: the truncated coordinate of the pixel
// centre.
std::int32_t whole_shift(double magnitude, int side) {
  const double shift = std::floor(magnitude * side + 0.5);
  return static_cast<std::int32_t>(std::clamp(shift, -1.0 * side, 1.0 * side));
}

}  // namespace

const char* op_name(ImageOp op) {
  return kNames.at(static_cast<std::size_t>(op));
}

std::optional<ImageOp> op_named(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<ImageOp>(found - kNames.begin());
}

double op_magnitude(ImageOp op, int level, int levels) {
  DPLL_CHECK(level >= 0 && level < levels && levels >= 2, "level {} of {}", level, levels);
  switch (op) {
    case ImageOp::shear_x:
    case ImageOp::shear_y:
      return linspace(0, 0.3, level, levels);
    case ImageOp::translate_x:
    case ImageOp::translate_y:
      return linspace(0, 150.0 / 331.0, level, levels);
    case ImageOp::rotate:
      return linspace(0, 30, level, levels);
    case ImageOp::brightness:
    case ImageOp::color:
    case ImageOp::contrast:
    case ImageOp::sharpness:
      return linspace(0, 0.9, level, levels);
    case ImageOp::posterize:
      return std::nearbyint(linspace(8, 4, level, levels));
    case ImageOp::solarize:
      return linspace(256, 0, level, levels);
    case ImageOp::identity:
    case ImageOp::autocontrast:
    case ImageOp::equalize:
    case ImageOp::invert:
    case ImageOp::hue:
    case ImageOp::grey:
      break;
  }
  return 0;
}

OpSetting prepare_op(ImageOp op, double magnitude, int height, int width) {
  DPLL_CHECK(std::min(height, width) >= 1 && std::max(height, width) <= kMaxOpSide, "images of {} x {}",
             height, width);
  if (!std::isfinite(magnitude)) {
    fail(ExitCode::usage, "{}: magnitude {} is not a finite number", op_name(op), magnitude);
  }
  OpSetting setting;
  setting.op = op;
  switch (op) {
    case ImageOp::shear_x:
    case ImageOp::shear_y:
      setting.slope = magnitude;
      break;
    case ImageOp::translate_x:
      setting.shift = whole_shift(magnitude, width);
      break;
    case ImageOp::translate_y:
      setting.shift = whole_shift(magnitude, height);
      break;
    case ImageOp::rotate:
      prepare_rotation(setting, magnitude, height, width);
      break;
    case ImageOp::brightness:
    case ImageOp::color:
    case ImageOp::contrast:
    case ImageOp::sharpness:
      setting.factor = static_cast<float>(1 + magnitude);
      break;
    case ImageOp::posterize:
      if (magnitude != std::trunc(magnitude) || magnitude < 1 || magnitude > 8) {
        fail(ExitCode::usage, "posterize: magnitude {} is not a whole number of 1 to 8 bits", magnitude);
      }
      setting.bits = static_cast<std::int32_t>(magnitude);
      break;
    case ImageOp::solarize:
      setting.threshold = static_cast<std::int32_t>(std::clamp(std::ceil(magnitude), 0.0, 256.0));
      break;
    case ImageOp::hue:
      if (magnitude < -0.5 || magnitude > 0.5) {
        fail(ExitCode::usage, "hue: magnitude {} is not in -0.5 to 0.5 turns", magnitude);
      }
      setting.shift = hue_shift(magnitude);
      break;
    case ImageOp::identity:
    case ImageOp::autocontrast:
    case ImageOp::equalize:
    case ImageOp::invert:
    case ImageOp::grey:
      break;
  }
  return setting;
}

}  // namespace dpll
