#include "backend/cpu/image_ops.h"

#include <algorithm>
#include <array>

#include "dpll/core/check.h"

namespace dpll::cpu {
namespace {

using Histogram = std::array<std::int32_t, 256>;

Histogram histogram_of(const std::uint8_t* channel, std::int64_t pixels, int channels) {
  Histogram counts{};
  for (std::int64_t i = 0; i < pixels; ++i) ++counts[channel[i * channels]];
  return counts;
}

int grey_of(const std::uint8_t* image, std::int64_t pixels, int channels) {
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < pixels; ++i) sum += luma(image + i * channels, channels);
  return contrast_grey(sum, pixels);
}

// One channel through its table. `to` and `from` point to the channel's first value.
void apply_table(std::uint8_t* to, const std::uint8_t* from, const OpSetting& setting, int grey,
                 std::int64_t pixels, int channels) {
  ChannelStatistics statistics;
  statistics.grey = grey;
  Histogram counts{};
  if (op_needs_histogram(setting.op)) {
    counts = histogram_of(from, pixels, channels);
    const auto occurs = [](std::int32_t count) { return count != 0; };
    statistics.low = static_cast<int>(std::find_if(counts.begin(), counts.end(), occurs) - counts.begin());
    statistics.high =
        255 - static_cast<int>(std::find_if(counts.rbegin(), counts.rend(), occurs) - counts.rbegin());
    statistics.step =
        equalize_step(static_cast<int>(pixels), counts[static_cast<std::size_t>(statistics.high)]);
  }
  std::array<std::uint8_t, 256> table;
  int below = 0;
  for (int value = 0; value < 256; ++value) {
    const auto i = static_cast<std::size_t>(value);
    table[i] = table_value(setting, statistics, value, below);
    below += counts[i];
  }
  for (std::int64_t i = 0; i < pixels; ++i) to[i * channels] = table[from[i * channels]];
}

}  // namespace

void apply_op(std::uint8_t* to, const std::uint8_t* from, const OpSetting& setting, const ImageShape& shape) {
  DPLL_CHECK(shape.channels == 1 || shape.channels == 3, "{} of {} channels", op_name(setting.op),
             shape.channels);
  const std::int64_t pixels = std::int64_t{shape.height} * shape.width;
  if (op_is_table(setting.op)) {
    const int grey = op_needs_luma(setting.op) ? grey_of(from, pixels, shape.channels) : 0;
    for (int c = 0; c < shape.channels; ++c) {
      apply_table(to + c, from + c, setting, grey, pixels, shape.channels);
    }
    return;
  }
  for (int y = 0; y < shape.height; ++y) {
    for (int x = 0; x < shape.width; ++x) {
      transform_pixel(to, setting, from, shape, y, x);
      to += shape.channels;
    }
  }
}

void apply_draws(std::uint8_t* image, std::uint8_t* scratch, const ColourDraw& colours,
                 const PreparedPolicy& policy, const PolicyDraw& draw, const ImageShape& shape) {
  std::uint8_t* from = image;
  std::uint8_t* to = scratch;
  for (int i = 0; i < colours.count; ++i) {
    apply_op(to, from, colours.settings[i], shape);
    std::swap(from, to);
  }
  for (int i = 0; i < draw.count; ++i) {
    apply_op(to, from, setting_of(policy, draw.ops[i]), shape);
    std::swap(from, to);
  }
  if (from != image) {
    std::copy_n(from, std::int64_t{shape.height} * shape.width * shape.channels, image);
  }
}

}  // namespace dpll::cpu
