// Changes the hue of a pixel as torchvision's adjust_hue does with Pillow: converts to hue, saturation and
// value of one byte each, adds to the hue modulo 256, and converts back. Types and order of the arithmetic
// are those of Pillow's conversions, which mix float32 and float64.
#pragma once

#include <cmath>
#include <cstdint>

#include "dpll/core/host_device.h"

namespace dpll {

struct Hsv {
  std::uint8_t hue, saturation, value;
};

// What adding `turns` of the colour circle adds to a hue, modulo 256: truncated towards zero.
DPLL_HD int hue_shift(double turns) {
  return static_cast<int>(rounded_product(turns, 255.0)) & 255;
}

DPLL_HD std::uint8_t clipped_byte(int value) {
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

DPLL_HD Hsv hsv_of(const std::uint8_t* rgb) {
  const int r = rgb[0], g = rgb[1], b = rgb[2];
  const int high = r > g ? (r > b ? r : b) : (g > b ? g : b);
  const int low = r < g ? (r < b ? r : b) : (g < b ? g : b);
  if (high == low) return {0, 0, static_cast<std::uint8_t>(high)};
  const float range = static_cast<float>(high - low);
  const float saturation = range / static_cast<float>(high);
  const float from_r = static_cast<float>(high - r) / range;
  const float from_g = static_cast<float>(high - g) / range;
  const float from_b = static_cast<float>(high - b) / range;
  float hue;  // in sixths of a turn
  if (r == high) {
    hue = from_b - from_g;
  } else if (g == high) {
    hue = static_cast<float>(2.0 + static_cast<double>(from_r) - static_cast<double>(from_b));
  } else {
    hue = static_cast<float>(4.0 + static_cast<double>(from_g) - static_cast<double>(from_r));
  }
  const double turns = static_cast<double>(hue) / 6.0 + 1.0;
  hue = static_cast<float>(turns >= 1.0 ? turns - 1.0 : turns);
  return {clipped_byte(static_cast<int>(rounded_product(static_cast<double>(hue), 255.0))),
          clipped_byte(static_cast<int>(rounded_product(static_cast<double>(saturation), 255.0))),
          static_cast<std::uint8_t>(high)};
}

DPLL_HD void set_rgb(std::uint8_t* rgb, const Hsv& hsv) {
  const std::uint8_t v = hsv.value;
  if (hsv.saturation == 0) {
    rgb[0] = rgb[1] = rgb[2] = v;
    return;
  }
  const double sixths = static_cast<double>(6 * hsv.hue) / 255.0;  // 0 to 6
  const int sector = static_cast<int>(sixths);
  const float part = static_cast<float>(sixths - sector);
  const float saturation = static_cast<float>(hsv.saturation / 255.0);
  const auto scaled = [v](double share) {
    return clipped_byte(static_cast<int>(round(rounded_product(static_cast<double>(v), share))));
  };
  const std::uint8_t p = scaled(1.0 - static_cast<double>(saturation));
  const std::uint8_t q = scaled(1.0 - static_cast<double>(rounded_product(saturation, part)));
  const std::uint8_t t =
      scaled(1.0 - rounded_product(static_cast<double>(saturation), 1.0 - static_cast<double>(part)));
  const std::uint8_t of_sector[6][3] = {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
  for (int c = 0; c < 3; ++c) rgb[c] = of_sector[sector % 6][c];
}

// `shift`: hue_shift().
DPLL_HD void turn_hue(std::uint8_t* out, const std::uint8_t* rgb, int shift) {
  Hsv hsv = hsv_of(rgb);
  hsv.hue = static_cast<std::uint8_t>(hsv.hue + shift);
  set_rgb(out, hsv);
}

}  // namespace dpll
