// The operations of augment/image_op.h on uint8 images of 1 or 3 channels, with the same bits as Pillow. They
// consist of parts that can be combined by one CPU thread per image and by one CUDA block per image:
//
//   1. statistics   values of the whole image, only if op_needs_histogram() or op_needs_luma() is true.
//   Counts
//                   and sums are integers, so any order gives the same result.
//   2. table        if op_is_table(): 256 entries per channel, each from table_value(); every output value is
//                   then the entry for the input value.
//   3. pixels       for the other operations: transform_pixel() computes every output pixel from an input
//   image
//                   that does not change in the meantime.
//
// A CUDA block needs a barrier after each part and, for equalize, an exclusive prefix sum over 256 counts.
// Floating-point arithmetic rounds after every operation (rounded_product, rounded_sum), as Pillow does on
// x86-64; divisions are IEEE divisions. Source: Pillow's behaviour; the method's specification, section 5.
#pragma once

#include <cstdint>

#include "augment/hue.h"
#include "augment/image_op.h"
#include "dpll/core/host_device.h"

namespace dpll {

struct ImageShape {
  int height, width, channels;  // channels: 1 or 3, interleaved
};

inline constexpr int kUncovered = 128;  // every channel of a pixel from outside the image

// The statistics of the image for table_value(). Only the members for the operation must be set.
struct ChannelStatistics {
  int low = 0, high = 0;  // autocontrast: lowest and highest value that occurs in the channel
  int step = 0;           // equalize: equalize_step()
  int grey = 0;           // contrast: contrast_grey()
};

DPLL_HD bool op_is_table(ImageOp op) {
  return op == ImageOp::brightness || op == ImageOp::contrast ||
         (op >= ImageOp::posterize && op <= ImageOp::invert);
}
// The number of pixels of each value in each channel.
DPLL_HD bool op_needs_histogram(ImageOp op) {
  return op == ImageOp::autocontrast || op == ImageOp::equalize;
}
// The sum of luma() over the pixels.
DPLL_HD bool op_needs_luma(ImageOp op) {
  return op == ImageOp::contrast;
}

// Pillow's conversion to grey: ITU-R 601 weights in 1/65536, rounded. The value itself for one channel.
DPLL_HD int luma(const std::uint8_t* pixel, int channels) {
  if (channels == 1) return pixel[0];
  return (19595 * pixel[0] + 38470 * pixel[1] + 7471 * pixel[2] + 32768) >> 16;
}

DPLL_HD int contrast_grey(std::int64_t luma_sum, std::int64_t pixels) {
  const double mean = static_cast<double>(luma_sum) / static_cast<double>(pixels);
  return static_cast<int>(rounded_sum(mean, 0.5));
}

// The image has `pixels` pixels, `brightest` of them with the highest value in the channel. 0: the channel
// does not change.
DPLL_HD int equalize_step(int pixels, int brightest) {
  return (pixels - brightest) / 255;
}

// degenerate + factor * (value - degenerate) in float32, clipped and truncated: Pillow's Image.blend.
DPLL_HD std::uint8_t blend(int degenerate, int value, float factor) {
  const float difference = rounded_product(factor, static_cast<float>(value - degenerate));
  const float mixed = rounded_sum(static_cast<float>(degenerate), difference);
  if (mixed <= 0.0F) return 0;
  return mixed >= 255.0F ? std::uint8_t{255} : static_cast<std::uint8_t>(mixed);
}

DPLL_HD std::uint8_t autocontrast_value(int low, int high, int value) {
  if (high <= low) return static_cast<std::uint8_t>(value);
  const double scale = 255.0 / (high - low);
  const double offset = rounded_product(static_cast<double>(-low), scale);
  const int stretched =
      static_cast<int>(rounded_sum(rounded_product(static_cast<double>(value), scale), offset));
  return static_cast<std::uint8_t>(stretched < 0 ? 0 : stretched > 255 ? 255 : stretched);
}

// `below`: the number of pixels with a lower value in the channel. On small images the quotient exceeds 255.
DPLL_HD std::uint8_t equalize_value(int step, int below, int value) {
  if (step == 0) return static_cast<std::uint8_t>(value);
  const int spread = (step / 2 + below) / step;
  return static_cast<std::uint8_t>(spread > 255 ? 255 : spread);
}

// The output for an input `value` of one channel. `below`: for equalize, see there.
DPLL_HD std::uint8_t table_value(const OpSetting& setting, const ChannelStatistics& statistics, int value,
                                 int below) {
  switch (setting.op) {
    case ImageOp::brightness:
      return blend(0, value, setting.factor);
    case ImageOp::contrast:
      return blend(statistics.grey, value, setting.factor);
    case ImageOp::posterize:
      return static_cast<std::uint8_t>(value & ~((1 << (8 - setting.bits)) - 1));
    case ImageOp::solarize:
      return static_cast<std::uint8_t>(value < setting.threshold ? value : 255 - value);
    case ImageOp::autocontrast:
      return autocontrast_value(statistics.low, statistics.high, value);
    case ImageOp::equalize:
      return equalize_value(statistics.step, below, value);
    case ImageOp::invert:
      return static_cast<std::uint8_t>(255 - value);
    default:
      return static_cast<std::uint8_t>(value);
  }
}

// The 3 x 3 mean that counts the centre five times, rounded. It is computed in integers: (sum + 6.5) / 13 is
// never whole, so Pillow's float32 sum is truncated to the same value. The outermost pixels have no such
// mean.
DPLL_HD int smoothed(const std::uint8_t* centre, int row_values, int channels) {
  int sum = 4 * centre[0];
  for (int row = -row_values; row <= row_values; row += row_values) {
    sum += centre[row - channels] + centre[row] + centre[row + channels];
  }
  return (2 * sum + 13) / 26;
}

// Cubic convolution with parameter a = -1 through v1..v4, at `t` of the way from v2 to v3.
DPLL_HD std::uint8_t cubic(int v1, int v2, int v3, int v4, double t) {
  const double p2 = v3 - v1;
  const double p3 = 2 * (v1 - v2) + v3 - v4;
  const double p4 = -v1 + v2 - v3 + v4;
  double value = rounded_sum(p3, rounded_product(t, p4));
  value = rounded_sum(p2, rounded_product(t, value));
  value = rounded_sum(static_cast<double>(v2), rounded_product(t, value));
  if (value <= 0.0) return 0;
  return value >= 255.0 ? std::uint8_t{255} : static_cast<std::uint8_t>(value);
}

// One pixel of both shears: at position `along` of a line of pixels, the line is read `across` * slope
// further. `along` and `across` are distances from the corner of the image to pixel centres, so the corner
// stays fixed. Neighbours beyond the ends are the end pixels.
DPLL_HD void shear_pixel(std::uint8_t* out, const std::uint8_t* line, int size, int step, int channels,
                         int along, int across, double slope) {
  double position = rounded_sum(along + 0.5, rounded_product(slope, across + 0.5));
  if (!(position >= 0.0 && position < size)) {
    for (int c = 0; c < channels; ++c) out[c] = kUncovered;
    return;
  }
  position = rounded_sum(position, -0.5);
  const int before = position < 0.0 ? -1 : static_cast<int>(position);
  const double fraction = rounded_sum(position, static_cast<double>(-before));
  int taps[4];
  for (int i = 0; i < 4; ++i) {
    const int index = before - 1 + i;
    taps[i] = (index < 0 ? 0 : index >= size ? size - 1 : index) * step;
  }
  for (int c = 0; c < channels; ++c) {
    out[c] = cubic(line[taps[0] + c], line[taps[1] + c], line[taps[2] + c], line[taps[3] + c], fraction);
  }
}

// Writes the `channels` values of output pixel (y, x) for operations without a table.
DPLL_HD void transform_pixel(std::uint8_t* out, const OpSetting& setting, const std::uint8_t* image,
                             const ImageShape& shape, int y, int x) {
  const int channels = shape.channels, row_values = shape.width * channels;
  const std::uint8_t* pixel = image + y * row_values + x * channels;
  switch (setting.op) {
    case ImageOp::shear_x:
      return shear_pixel(out, image + y * row_values, shape.width, channels, channels, x, y, setting.slope);
    case ImageOp::shear_y:
      return shear_pixel(out, image + x * channels, shape.height, row_values, channels, y, x, setting.slope);
    case ImageOp::color: {
      const int grey = luma(pixel, channels);
      for (int c = 0; c < channels; ++c) out[c] = blend(grey, pixel[c], setting.factor);
      return;
    }
    case ImageOp::grey: {
      const int grey = luma(pixel, channels);
      for (int c = 0; c < channels; ++c) out[c] = static_cast<std::uint8_t>(grey);
      return;
    }
    case ImageOp::hue:
      if (channels == 3) {
        turn_hue(out, pixel, setting.shift);
      } else {
        out[0] = pixel[0];
      }
      return;
    case ImageOp::sharpness: {
      const bool inside = y > 0 && y < shape.height - 1 && x > 0 && x < shape.width - 1;
      for (int c = 0; c < channels; ++c) {
        out[c] =
            inside ? blend(smoothed(pixel + c, row_values, channels), pixel[c], setting.factor) : pixel[c];
      }
      return;
    }
    case ImageOp::translate_x:
    case ImageOp::translate_y:
    case ImageOp::rotate: {
      int from_y = y, from_x = x;
      if (setting.op == ImageOp::translate_x) {
        from_x += setting.shift;
      } else if (setting.op == ImageOp::translate_y) {
        from_y += setting.shift;
      } else {
        const std::int32_t* r = setting.rotation;
        from_x = (r[0] * x + r[1] * y + r[2]) >> 16;
        from_y = (r[3] * x + r[4] * y + r[5]) >> 16;
      }
      const bool covered = from_y >= 0 && from_y < shape.height && from_x >= 0 && from_x < shape.width;
      const std::uint8_t* from = image + from_y * row_values + from_x * channels;
      for (int c = 0; c < channels; ++c) out[c] = covered ? from[c] : std::uint8_t{kUncovered};
      return;
    }
    default:
      for (int c = 0; c < channels; ++c) out[c] = pixel[c];
  }
}

}  // namespace dpll
