// The random geometry of one augmented view, shared by every backend: the draws from Philox, and the pixel of
// the stored image that each output pixel shows.
//
// A view is made in three steps. Each step completes the whole image before the next one begins:
//   1. place      flip and reflect-padded crop (source_y, source_x) are index arithmetic and done together;
//                 then Cutout (in_box: the pixel is 0); all on uint8
//   2. policy     policy_draw.h and pixel_ops.h, on the uint8 image with the black box; with
//                 ViewRecipe::cutout_after, Cutout comes after the policy
//   3. normalise  normalise_pixel(), per channel
#pragma once

#include <cstdint>

#include "dpll/core/host_device.h"
#include "dpll/core/philox.h"
#include "dpll/ops/augment.h"

namespace dpll {

// The draws for step 1. The members have no initial values, because the struct is also used in the shared
// memory of a block, which cannot have any.
struct ViewDraw {
  bool flip;           // mirrored left to right, before the crop
  int crop_y, crop_x;  // where the crop begins in the image, -pad..pad
  int box_y0, box_y1;  // rows [y0, y1) and
  int box_x0, box_x1;  // columns [x0, x1) of the output are black; empty: no Cutout
};

// Words 0..4 of a view's stream are for the geometry. They are drawn whether or not an operation is enabled,
// so that switching one off does not change the draws of the others.
inline constexpr int kFirstPolicyWord = 5;

DPLL_HD PhiloxStream view_stream(std::uint64_t seed, std::uint32_t epoch, std::uint32_t sample,
                                 std::uint32_t view) {
  return PhiloxStream(seed, Purpose::augment, epoch, sample, view);
}

// The part [begin, end) of [0, size) that is in [first, first + length).
struct Interval {
  int begin, end;
};
DPLL_HD Interval clipped_interval(int first, int length, int size) {
  const int last = first + length;
  return {first < 0 ? 0 : first, last > size ? size : last};
}

// Takes kFirstPolicyWord words from a fresh view_stream(). The Cutout box of side L covers [y - L / 2, y - L
// / 2 + L) around a centre that is uniform over the image, so it is smaller at the edges.
DPLL_HD ViewDraw draw_view(PhiloxStream& stream, const ViewRecipe& recipe, int height, int width) {
  const std::uint32_t flip = stream.next();
  const std::uint32_t offsets = 2 * static_cast<std::uint32_t>(recipe.pad) + 1;
  const int offset_y = static_cast<int>(stream.next_below(offsets));
  const int offset_x = static_cast<int>(stream.next_below(offsets));
  const int centre_y = static_cast<int>(stream.next_below(static_cast<std::uint32_t>(height)));
  const int centre_x = static_cast<int>(stream.next_below(static_cast<std::uint32_t>(width)));

  ViewDraw draw{};
  draw.flip = recipe.flip && (flip >> 31) != 0;
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
