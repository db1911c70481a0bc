// Draws the changes of a view's colours, colour jitter and grey, from the words that dpll/ops/augment.h
// lists.
#pragma once

#include <cstdint>

#include "augment/hue.h"
#include "augment/image_op.h"
#include "augment/view_draw.h"
#include "dpll/core/host_device.h"

namespace dpll {

inline constexpr int kColourChanges = 5;

struct ColourDraw {
  int count;  // changes that are made, in order
  OpSetting settings[kColourChanges];
};

inline constexpr std::uint32_t kColourBlock = 72 / 4;  // jitter, order, grey
inline constexpr std::uint32_t kFactorBlock = 76 / 4;

// The factor of a change by up to `strength`, as torchvision's ColorJitter: uniform, and not below 0.
DPLL_HD float drawn_factor(float strength, std::uint32_t word) {
  const float low = strength > 1 ? 0 : 1 - strength;
  return rounded_sum(low, rounded_product(drawn_share(word), rounded_sum(rounded_sum(1.0F, strength), -low)));
}

// The change with this number in ColorJitter, made as strongly as `word` says. False: its strength is 0.
DPLL_HD bool draw_change(OpSetting& setting, int change, const ColourJitter& jitter, const Philox4& words) {
  setting = {};
  if (change == 3) {
    const float way = rounded_sum(rounded_product(2.0F, drawn_share(words.v[3])), -1.0F);
    setting.op = ImageOp::hue;
    setting.shift = hue_shift(static_cast<double>(rounded_product(jitter.hue, way)));
    return jitter.hue > 0;
  }
  const float strength = change == 0 ? jitter.brightness : change == 1 ? jitter.contrast : jitter.saturation;
  setting.op = change == 0 ? ImageOp::brightness : change == 1 ? ImageOp::contrast : ImageOp::color;
  setting.factor = drawn_factor(strength, change == 0 ? words.v[0] : change == 1 ? words.v[1] : words.v[2]);
  return strength > 0;
}

// `grey`: the probability of ViewRecipe::grey.
DPLL_HD void draw_colours(ColourDraw& draw, const ViewKey& key, const ColourJitter& jitter, float grey) {
  draw.count = 0;
  if (jitter.probability <= 0 && grey <= 0) return;
  const Philox4 words = view_words(key, kColourBlock);
  if (drawn_share(words.v[0]) < jitter.probability) {
    const Philox4 factors = view_words(key, kFactorBlock);
    // One of the 24 orders: of the changes that are left, the one with the next digit is next. A change is
    // four bits of `left`.
    unsigned order = uniform_below(words.v[1], 24), orders = 24, left = 0x3210;
    for (unsigned changes = 4; changes > 0; --changes) {
      orders /= changes;
      const unsigned shift = 4 * (order / orders);
      order %= orders;
      const int change = static_cast<int>((left >> shift) & 15);
      left = (left & ((1U << shift) - 1)) | ((left >> (shift + 4)) << shift);
      draw.count += draw_change(draw.settings[draw.count], change, jitter, factors) ? 1 : 0;
    }
  }
  if (drawn_share(words.v[2]) < grey) {
    draw.settings[draw.count] = {};
    draw.settings[draw.count++].op = ImageOp::grey;
  }
}

}  // namespace dpll
