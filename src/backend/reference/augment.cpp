#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "augment/pixel_ops.h"
#include "augment/policies.h"
#include "backend/reference/reference_ops.h"
#include "dpll/core/philox.h"

namespace dpll::reference {
namespace {

// Each step of the recipe makes a whole new image, as the published code does with its transforms. Other
// backends go from an output pixel back to its source instead, so the two derivations check each other.
struct Image {
  int height, width, channels;
  std::vector<std::uint8_t> pixels;  // [H, W, C]

  Image(int height_, int width_, int channels_)
      : height(height_),
        width(width_),
        channels(channels_),
        pixels(static_cast<std::size_t>(height_) * static_cast<std::size_t>(width_) *
               static_cast<std::size_t>(channels_)) {}

  std::uint8_t& at(int y, int x, int c) {
    return pixels[static_cast<std::size_t>((std::int64_t{y} * width + x) * channels + c)];
  }
};

void flip(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    for (int left = 0; left < image.width / 2; ++left) {
      for (int c = 0; c < image.channels; ++c) {
        std::swap(image.at(y, left, c), image.at(y, image.width - 1 - left, c));
      }
    }
  }
}

// Padding by reflection about the border pixels, which are not repeated: c b | a b c | b a.
Image reflect_pad(Image& image, int pad) {
  const auto reflect = [](int i, int side) { return i < 0 ? -i : i >= side ? 2 * (side - 1) - i : i; };
  Image padded(image.height + 2 * pad, image.width + 2 * pad, image.channels);
  for (int y = 0; y < padded.height; ++y) {
    for (int x = 0; x < padded.width; ++x) {
      for (int c = 0; c < image.channels; ++c) {
        padded.at(y, x, c) = image.at(reflect(y - pad, image.height), reflect(x - pad, image.width), c);
      }
    }
  }
  return padded;
}

Image crop(Image& image, int top, int left, int height, int width) {
  Image cropped(height, width, image.channels);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < image.channels; ++c) cropped.at(y, x, c) = image.at(top + y, left + x, c);
    }
  }
  return cropped;
}

Image zero_pad(Image& image, int pad) {
  Image padded(image.height + 2 * pad, image.width + 2 * pad, image.channels);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < image.channels; ++c) padded.at(y + pad, x + pad, c) = image.at(y, x, c);
    }
  }
  return padded;
}

Image transposed(Image& image) {
  Image result(image.width, image.height, image.channels);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < image.channels; ++c) result.at(x, y, c) = image.at(y, x, c);
    }
  }
  return result;
}

// Pillow's bilinear resampling of every row to `width` >= image.width pixels: a triangle one pixel to each
// side of the centre, with weights that sum to 1, rounded to 1/2^22.
Image widened(Image& image, int width) {
  Image result(image.height, width, image.channels);
  const double scale = static_cast<double>(image.width) / width;
  for (int x = 0; x < width; ++x) {
    const double centre = (x + 0.5) * scale;
    std::vector<double> weights(static_cast<std::size_t>(image.width));
    double sum = 0;
    for (int from = 0; from < image.width; ++from) {
      double& weight = weights[static_cast<std::size_t>(from)];
      weight = std::max(0.0, 1 - std::abs(from - centre + 0.5));
      sum += weight;
    }
    for (int y = 0; y < image.height; ++y) {
      for (int c = 0; c < image.channels; ++c) {
        std::int64_t value = 1 << 21;
        for (int from = 0; from < image.width; ++from) {
          const double weight = weights[static_cast<std::size_t>(from)] / sum;
          value += std::int64_t{image.at(y, from, c)} * std::lround(weight * 0x1p22);
        }
        result.at(y, x, c) = static_cast<std::uint8_t>(std::min<std::int64_t>(value >> 22, 255));
      }
    }
  }
  return result;
}

// The box covers `side` rows and columns from centre - side / 2 on, less what lies outside the image.
void cutout(Image& image, int centre_y, int centre_x, int side) {
  for (int y = centre_y - side / 2; y < centre_y - side / 2 + side; ++y) {
    for (int x = centre_x - side / 2; x < centre_x - side / 2 + side; ++x) {
      if (y < 0 || y >= image.height || x < 0 || x >= image.width) continue;
      for (int c = 0; c < image.channels; ++c) image.at(y, x, c) = 0;
    }
  }
}

// One operation: statistics by looking at every pixel for every value, as slow as simple.
Image transformed(Image& image, const OpSetting& setting) {
  const ImageShape shape = {image.height, image.width, image.channels};
  Image result(image.height, image.width, image.channels);
  std::int64_t luma_sum = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) luma_sum += luma(&image.at(y, x, 0), image.channels);
  }
  const int pixels = image.height * image.width;
  for (int c = 0; c < image.channels; ++c) {
    const auto count_if = [&](auto matches) {
      int count = 0;
      for (int i = 0; i < pixels; ++i) count += matches(image.at(0, i, c)) ? 1 : 0;
      return count;
    };
    ChannelStatistics statistics;
    statistics.grey = contrast_grey(luma_sum, pixels);
    statistics.low = 255;
    for (int i = 0; i < pixels; ++i) {
      statistics.low = std::min<int>(statistics.low, image.at(0, i, c));
      statistics.high = std::max<int>(statistics.high, image.at(0, i, c));
    }
    statistics.step = equalize_step(pixels, count_if([&](int v) { return v == statistics.high; }));
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        const int value = image.at(y, x, c);
        if (op_is_table(setting.op)) {
          const int below = setting.op == ImageOp::equalize ? count_if([&](int v) { return v < value; }) : 0;
          result.at(y, x, c) = table_value(setting, statistics, value, below);
        } else if (c == 0) {
          transform_pixel(&result.at(y, x, 0), setting, image.pixels.data(), shape, y, x);
        }
      }
    }
  }
  return result;
}

// Word `index` of a view's stream.
using Word = std::function<std::uint32_t(int)>;

void apply_policy(Image& image, const ViewRecipe& recipe, const Word& word) {
  const auto below = [](std::uint32_t random, std::size_t n) {
    return static_cast<std::size_t>((std::uint64_t{random} * n) >> 32);
  };
  const auto apply = [&](ImageOp op, double magnitude, bool negative) {
    const bool has_sign =
        op_is_signed(op) || (op == ImageOp::rotate && (recipe.policy == AugmentPolicy::randaugment ||
                                                       recipe.policy == AugmentPolicy::autoaugment_cifar));
    image = transformed(
        image, prepare_op(op, has_sign && negative ? -magnitude : magnitude, image.height, image.width));
  };
  const auto negative = [&](int index) { return word(index) >= 0x80000000u; };
  if (recipe.policy == AugmentPolicy::randaugment) {
    for (int i = 0; i < recipe.rand_n; ++i) {
      const auto op = static_cast<ImageOp>(below(word(5 + 2 * i), 14));
      apply(op, op_magnitude(op, recipe.rand_m, 31), negative(6 + 2 * i));
    }
    return;
  }
  const std::span<const SubPolicy> table = sub_policies(recipe.policy);
  if (table.empty()) return;
  const SubPolicy& entry = table[below(word(5), table.size())];
  for (int i = 0; i < 2; ++i) {
    const PolicyStep& step = entry.steps[i];
    if (static_cast<double>(word(6 + 2 * i)) / 0x1p32 < step.tenths / 10.0) {
      apply(step.op, op_magnitude(step.op, step.level, 10), negative(7 + 2 * i));
    }
  }
}

// In [0, 1).
double uniform(std::uint32_t word) {
  return (word >> 8) / 0x1p24;
}

int below(std::uint32_t word, int n) {
  return static_cast<int>((std::uint64_t{word} * static_cast<std::uint64_t>(n)) >> 32);
}

// The first of ten attempts that fits; else the middle.
Image resized_crop(Image& image, const ResizedCrop& range, const Word& word) {
  const auto resized = [&](int top, int left, int height, int width) {
    Image part = crop(image, top, left, height, width);
    Image wide = widened(part, image.width);
    Image turned = transposed(wide);
    Image high = widened(turned, image.height);
    return transposed(high);
  };
  for (int i = 0; i < 10; ++i) {
    const double share = range.scale_low + uniform(word(32 + 4 * i)) * (range.scale_high - range.scale_low);
    const double log_ratio =
        std::log(range.ratio_low) +
        uniform(word(33 + 4 * i)) * (std::log(range.ratio_high) - std::log(range.ratio_low));
    const double area = share * image.height * image.width, ratio = std::exp(log_ratio);
    const int width = static_cast<int>(std::nearbyint(std::sqrt(area * ratio))),
              height = static_cast<int>(std::nearbyint(std::sqrt(area / ratio)));
    if (width < 1 || width > image.width || height < 1 || height > image.height) continue;
    return resized(below(word(34 + 4 * i), image.height - height + 1),
                   below(word(35 + 4 * i), image.width - width + 1), height, width);
  }
  int width = image.width, height = image.height;
  const double ratio = static_cast<double>(width) / height;
  if (ratio < range.ratio_low) height = static_cast<int>(std::nearbyint(width / range.ratio_low));
  if (ratio > range.ratio_high) width = static_cast<int>(std::nearbyint(height * range.ratio_high));
  height = std::max(height, 1);
  width = std::max(width, 1);
  return resized((image.height - height) / 2, (image.width - width) / 2, height, width);
}

// torchvision's ColorJitter and RandomGrayscale.
void change_colours(Image& image, const ViewRecipe& recipe, const Word& word) {
  const auto apply = [&](ImageOp op, float factor, int shift) {
    OpSetting setting;
    setting.op = op;
    setting.factor = factor;
    setting.shift = shift;
    image = transformed(image, setting);
  };
  const ColourJitter& jitter = recipe.jitter;
  if (uniform(word(72)) < static_cast<double>(jitter.probability)) {
    std::vector<int> left = {0, 1, 2, 3};
    int order = below(word(73), 24);
    for (const int orders : {6, 2, 1, 1}) {
      const auto next = left.begin() + order / orders;
      order %= orders;
      const int change = *next;
      left.erase(next);
      const auto u = static_cast<float>(uniform(word(76 + change)));
      if (change == 3) {
        const float turns = jitter.hue * (2 * u - 1);
        const int shift = static_cast<int>(std::trunc(static_cast<double>(turns) * 255));
        if (jitter.hue > 0) apply(ImageOp::hue, 0, (shift + 256) % 256);
        continue;
      }
      const float strength = change == 0   ? jitter.brightness
                             : change == 1 ? jitter.contrast
                                           : jitter.saturation;
      if (strength <= 0) continue;
      const float low = std::max(0.0F, 1 - strength);
      const ImageOp op = change == 0 ? ImageOp::brightness : change == 1 ? ImageOp::contrast : ImageOp::color;
      apply(op, low + u * (1 + strength - low), 0);
    }
  }
  if (uniform(word(74)) < static_cast<double>(recipe.grey)) apply(ImageOp::grey, 0, 0);
}

class ReferenceAugment final : public Augment {
 public:
  explicit ReferenceAugment(const AugmentSpec& spec) : spec_(spec) {}

  void run(const AugmentCall& call) override {
    for (int view = 0; view < spec_.views; ++view) {
      for (int r = 0; r < spec_.batch; ++r) {
        const std::int64_t sample = row_in(call.pixels, call.rows, r);
        PhiloxStream draws(call.rows.step->seed, Purpose::augment, call.rows.step->epoch,
                           static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(view));
        const Word word = [&](int index) {
          const auto purpose_view =
              static_cast<std::uint32_t>(Purpose::augment) | static_cast<std::uint32_t>(view) << 16;
          return philox4x32(call.rows.step->seed, static_cast<std::uint32_t>(index / 4),
                            static_cast<std::uint32_t>(sample), call.rows.step->epoch, purpose_view)
              .v[index % 4];
        };
        const Image image = make_view(call.pixels.as<std::uint8_t>(), sample, draws, word,
                                      view == 0 ? spec_.weak : spec_.strong);
        normalise(call.images.as<double>(), std::int64_t{view} * spec_.batch + r, image);
      }
    }
  }

 private:
  Image make_view(const std::uint8_t* data_set, std::int64_t sample, PhiloxStream& draws, const Word& word,
                  const ViewRecipe& recipe) const {
    Image image(spec_.height, spec_.width, spec_.channels);
    const auto bytes = static_cast<std::int64_t>(image.pixels.size());
    std::copy_n(data_set + sample * bytes, bytes, image.pixels.begin());

    const bool mirrored = (draws.next() >> 31) != 0;
    const auto offsets = static_cast<std::uint32_t>(2 * recipe.pad + 1);
    const int top = static_cast<int>(draws.next_below(offsets));
    const int left = static_cast<int>(draws.next_below(offsets));
    const int centre_y = static_cast<int>(draws.next_below(static_cast<std::uint32_t>(spec_.height)));
    const int centre_x = static_cast<int>(draws.next_below(static_cast<std::uint32_t>(spec_.width)));

    if (recipe.crop == CropKind::resized) image = resized_crop(image, recipe.resized, word);
    if (recipe.flip && mirrored) flip(image);
    if (recipe.crop == CropKind::shifted && recipe.pad > 0) {
      Image padded =
          recipe.padding == CropPadding::zero ? zero_pad(image, recipe.pad) : reflect_pad(image, recipe.pad);
      image = crop(padded, top, left, spec_.height, spec_.width);
    }
    if (recipe.cutout > 0 && !recipe.cutout_after) cutout(image, centre_y, centre_x, recipe.cutout);
    change_colours(image, recipe, word);
    apply_policy(image, recipe, word);
    if (recipe.cutout > 0 && recipe.cutout_after) cutout(image, centre_y, centre_x, recipe.cutout);
    return image;
  }

  void normalise(double* images, std::int64_t row, const Image& image) const {
    const auto count = static_cast<std::int64_t>(image.pixels.size());
    for (std::int64_t i = 0; i < count; ++i) {
      const auto c = static_cast<std::size_t>(i % spec_.channels);
      const double scaled = image.pixels[static_cast<std::size_t>(i)] / 255.0;
      images[row * count + i] =
          (scaled - static_cast<double>(spec_.mean[c])) / static_cast<double>(spec_.std[c]);
    }
  }

  AugmentSpec spec_;
};

}  // namespace

std::unique_ptr<Augment> make_augment(const AugmentSpec& spec) {
  return std::make_unique<ReferenceAugment>(spec);
}

}  // namespace dpll::reference
