#include "data/image_resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace dpll {
namespace {

// Pillow's fixed point: weights times 2^22, so that 8 bits times all weights of a pixel fit 32 bits.
constexpr int kWeightBits = 22;

// Of an output pixel: the input pixels from `first` on, with their weights.
struct Taps {
  std::int64_t first = 0;
  std::vector<std::int32_t> weights;
};

// Of the outputs [begin, begin + count) where `in` pixels become `out`.
std::vector<Taps> taps_of(std::int64_t in, std::int64_t out, std::int64_t begin, int count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> taps(static_cast<std::size_t>(count));
  std::vector<double> weights;
  for (int i = 0; i < count; ++i) {
    Taps& tap = taps[static_cast<std::size_t>(i)];
    const double centre = (static_cast<double>(begin + i) + 0.5) * scale;
    tap.first = std::max(static_cast<std::int64_t>(centre - support + 0.5), std::int64_t{0});
    const std::int64_t end = std::min(static_cast<std::int64_t>(centre + support + 0.5), in);
    weights.clear();
    double sum = 0;
    for (std::int64_t x = tap.first; x < end; ++x) {
      const double away = std::abs((static_cast<double>(x) - centre + 0.5) / support);
      weights.push_back(away < 1 ? 1 - away : 0);
      sum += weights.back();
    }
    for (const double weight : weights) {
      tap.weights.push_back(static_cast<std::int32_t>(0.5 + weight / sum * (1 << kWeightBits)));
    }
  }
  return taps;
}

// The weighted sum of every `stride`-th value from `values` on.
std::uint8_t apply(const Taps& tap, const std::uint8_t* values, std::size_t stride) {
  std::int32_t sum = 1 << (kWeightBits - 1);
  for (const std::int32_t weight : tap.weights) {
    sum += weight * *values;
    values += stride;
  }
  return static_cast<std::uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

// Where the middle `size` of `length` begin, in Python's rounding: half to even.
std::int64_t middle(std::int64_t length, int size) {
  return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(length - size) / 2));
}

// The longer side when the shorter one becomes `size`.
std::int64_t scaled(std::int64_t side, std::int64_t shorter, int size) {
  return static_cast<std::int64_t>(static_cast<double>(size) * static_cast<double>(side) /
                                   static_cast<double>(shorter));
}

}  // namespace

ImageSet fit_image(const ImageSet& image, int size) {
  const std::int64_t shorter = std::min(image.height, image.width);
  const std::int64_t height = image.height == shorter ? size : scaled(image.height, shorter, size),
                     width = image.width == shorter ? size : scaled(image.width, shorter, size);
  const std::vector<Taps> rows = taps_of(image.height, height, middle(height, size), size),
                          columns = taps_of(image.width, width, middle(width, size), size);
  const auto channels = static_cast<std::size_t>(image.channels), side = static_cast<std::size_t>(size);
  const std::int64_t first_row = rows.front().first,
                     end_row = rows.back().first + static_cast<std::int64_t>(rows.back().weights.size());

  // Along the rows first, as Pillow does: what is rounded to 8 bits between the two passes depends on it.
  std::vector<std::uint8_t> narrow(static_cast<std::size_t>(end_row - first_row) * side * channels);
  std::uint8_t* to = narrow.data();
  for (std::int64_t y = first_row; y < end_row; ++y) {
    for (const Taps& tap : columns) {
      const std::uint8_t* from =
          &image.pixels[static_cast<std::size_t>(y * image.width + tap.first) * channels];
      for (std::size_t c = 0; c < channels; ++c) *to++ = apply(tap, from + c, channels);
    }
  }
  ImageSet fitted{
      .count = 1, .height = size, .width = size, .channels = image.channels, .pixels = {}, .labels = {}};
  fitted.pixels.resize(side * side * channels);
  to = fitted.pixels.data();
  for (const Taps& tap : rows) {
    const std::uint8_t* from = &narrow[static_cast<std::size_t>(tap.first - first_row) * side * channels];
    for (std::size_t x = 0; x < side * channels; ++x) *to++ = apply(tap, from + x, side * channels);
  }
  return fitted;
}

}  // namespace dpll
