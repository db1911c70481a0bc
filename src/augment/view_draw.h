// The random geometry of one augmented view, shared by every backend: the draws from Philox, and the pixel of
// the stored image that each output pixel shows.
//
// A view is made in three steps. Each step completes the whole image before the next one begins:
//   1. place      flip and shifted crop (source_y, source_x) are index arithmetic and done together, or a
//   crop
//                 is resized (resize.h) and mirrored; then Cutout (in_box: the pixel is 0); all on uint8
//   2. colours    colour_draw.h, then policy_draw.h, with pixel_ops.h, on the uint8 image with the black box;
//                 with ViewRecipe::cutout_after, Cutout comes after them
//   3. normalise  normalise_pixel(), per channel
#pragma once

#include <cmath>
#include <cstdint>

#include "dpll/core/host_device.h"
#include "dpll/core/philox.h"
#include "dpll/ops/augment.h"

namespace dpll {

// The draws for step 1. The members have no initial values, because the struct is also used in the shared
// memory of a block, which cannot have any.
struct ViewDraw {
  bool flip;                    // mirrored left to right, before a shifted crop or after a resized one
  bool zero_border;             // of a shifted crop: black instead of mirrored
  int crop_y, crop_x;           // where the crop begins in the image; shifted: -pad..pad
  int crop_height, crop_width;  // of a resized crop; 0: shifted
  int box_y0, box_y1;           // rows [y0, y1) and
  int box_x0, box_x1;           // columns [x0, x1) of the output are black; empty: no Cutout
};

// Words 0..4 of a view's stream are for the geometry. They are drawn whether or not an operation is enabled,
// so that switching one off does not change the draws of the others.
inline constexpr int kFirstPolicyWord = 5;

// A view of a sample in an epoch.
struct ViewKey {
  std::uint64_t seed;
  std::uint32_t epoch, sample, view;
};

// Words 4 * block to 4 * block + 3 of the view's stream.
DPLL_HD Philox4 view_words(const ViewKey& key, std::uint32_t block) {
  return philox4x32(key.seed, block, key.sample, key.epoch,
                    static_cast<std::uint32_t>(Purpose::augment) | (key.view << 16));
}

DPLL_HD PhiloxStream view_stream(const ViewKey& key) {
  return PhiloxStream(key.seed, Purpose::augment, key.epoch, key.sample, key.view);
}

// The part [begin, end) of [0, size) that is in [first, first + length).
struct Interval {
  int begin, end;
};
DPLL_HD Interval clipped_interval(int first, int length, int size) {
  const int last = first + length;
  return {first < 0 ? 0 : first, last > size ? size : last};
}

// Takes kFirstPolicyWord words from a fresh view_stream(); the crop is a shifted one. The Cutout box of side
// L covers [y - L / 2, y - L / 2 + L) around a centre that is uniform over the image, so it is smaller at the
// edges.
DPLL_HD ViewDraw draw_view(PhiloxStream& stream, const ViewRecipe& recipe, int height, int width) {
  const std::uint32_t flip = stream.next();
  const std::uint32_t offsets = 2 * static_cast<std::uint32_t>(recipe.pad) + 1;
  const int offset_y = static_cast<int>(stream.next_below(offsets));
  const int offset_x = static_cast<int>(stream.next_below(offsets));
  const int centre_y = static_cast<int>(stream.next_below(static_cast<std::uint32_t>(height)));
  const int centre_x = static_cast<int>(stream.next_below(static_cast<std::uint32_t>(width)));

  ViewDraw draw{};
  draw.flip = recipe.flip && (flip >> 31) != 0;
  draw.zero_border = recipe.padding == CropPadding::zero;
  draw.crop_y = offset_y - recipe.pad;
  draw.crop_x = offset_x - recipe.pad;
  if (recipe.cutout > 0) {
    const Interval y = clipped_interval(centre_y - recipe.cutout / 2, recipe.cutout, height);
    const Interval x = clipped_interval(centre_x - recipe.cutout / 2, recipe.cutout, width);
    draw.box_y0 = y.begin;
    draw.box_y1 = y.end;
    draw.box_x0 = x.begin;
    draw.box_x1 = x.end;
  }
  return draw;
}

// exp(x) for |x| below 10 with the same bits on host and device, whose libraries differ in the last ones:
// the series for x / 256, squared eight times.
DPLL_HD double exponential(double x) {
  const double small = rounded_product(x, 0x1p-8);
  double sum = 1;
  for (int i = 9; i >= 1; --i) sum = rounded_sum(1.0, rounded_product(sum, rounded_product(small, 1.0 / i)));
  for (int i = 0; i < 8; ++i) sum = rounded_product(sum, sum);
  return sum;
}

// Uniform in [0, 1) with 24 bits, as uniform_float().
DPLL_HD float drawn_share(std::uint32_t word) {
  return rounded_product(static_cast<float>(word >> 8), 0x1p-24F);
}
DPLL_HD double drawn_between(double low, double high, std::uint32_t word) {
  return rounded_sum(low, rounded_product(static_cast<double>(drawn_share(word)), high - low));
}

inline constexpr std::uint32_t kCropBlock = 32 / 4;
inline constexpr int kCropAttempts = 10;

// For a recipe with a resized crop, after draw_view(): sets that of torchvision's RandomResizedCrop, the
// first of ten attempts that fits into the image, else the largest part in the middle whose ratio is within
// the range. Python's round() takes halves to even.
DPLL_HD void draw_resized_crop(ViewDraw& draw, const ViewKey& key, const ResizedCrop& range, int height,
                               int width) {
  for (int attempt = 0; attempt < kCropAttempts; ++attempt) {
    const Philox4 words = view_words(key, kCropBlock + static_cast<std::uint32_t>(attempt));
    const double area = rounded_product(static_cast<double>(height * width),
                                        drawn_between(range.scale_low, range.scale_high, words.v[0]));
    const double ratio = exponential(drawn_between(range.log_ratio_low, range.log_ratio_high, words.v[1]));
    const double columns = rint(sqrt(rounded_product(area, ratio)));
    const double rows = rint(sqrt(area / ratio));
    if (!(columns >= 1 && columns <= width && rows >= 1 && rows <= height)) continue;
    draw.crop_width = static_cast<int>(columns);
    draw.crop_height = static_cast<int>(rows);
    draw.crop_y = static_cast<int>(
        uniform_below(words.v[2], static_cast<std::uint32_t>(height - draw.crop_height + 1)));
    draw.crop_x =
        static_cast<int>(uniform_below(words.v[3], static_cast<std::uint32_t>(width - draw.crop_width + 1)));
    return;
  }
  const double ratio = static_cast<double>(width) / height;
  draw.crop_width = width;
  draw.crop_height = height;
  if (ratio < range.ratio_low) draw.crop_height = static_cast<int>(rint(width / range.ratio_low));
  if (ratio > range.ratio_high) {
    draw.crop_width = static_cast<int>(rint(rounded_product(static_cast<double>(height), range.ratio_high)));
  }
  if (draw.crop_width < 1) draw.crop_width = 1;
  if (draw.crop_height < 1) draw.crop_height = 1;
  draw.crop_y = (height - draw.crop_height) / 2;
  draw.crop_x = (width - draw.crop_width) / 2;
}

// Mirrors at the edge pixels without repeating them, as numpy.pad(mode="reflect"). index is in (-size, 2 *
// size - 1): one reflection is enough because the padding is smaller than the side.
DPLL_HD int reflect(int index, int size) {
  if (index < 0) return -index;
  if (index >= size) return 2 * (size - 1) - index;
  return index;
}

// Row and column of the stored image that output row y and column x show.
DPLL_HD int source_y(const ViewDraw& draw, int y, int height) {
  return reflect(y + draw.crop_y, height);
}
DPLL_HD int source_x(const ViewDraw& draw, int x, int width) {
  const int column = reflect(x + draw.crop_x, width);
  return draw.flip ? width - 1 - column : column;
}

// Does output pixel (y, x) lie in the black border of a shifted crop?
DPLL_HD bool in_border(const ViewDraw& draw, int y, int x, int height, int width) {
  const int row = y + draw.crop_y, column = x + draw.crop_x;
  return draw.zero_border && (row < 0 || row >= height || column < 0 || column >= width);
}

DPLL_HD bool in_box(const ViewDraw& draw, int y, int x) {
  return y >= draw.box_y0 && y < draw.box_y1 && x >= draw.box_x0 && x < draw.box_x1;
}

// Scales to [0, 1], subtracts the mean, then divides: three float32 roundings, as in torchvision's ToTensor
// and Normalize.
DPLL_HD float normalise_pixel(std::uint8_t pixel, float mean, float std) {
  const float scaled = static_cast<float>(pixel) / 255.0F;
  return (scaled - mean) / std;
}

}  // namespace dpll
