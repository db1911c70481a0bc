#include <algorithm>
#include <vector>

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

// The box covers `side` rows and columns from centre - side / 2 on, less what lies outside the image.
void cutout(Image& image, int centre_y, int centre_x, int side) {
  for (int y = centre_y - side / 2; y < centre_y - side / 2 + side; ++y) {
    for (int x = centre_x - side / 2; x < centre_x - side / 2 + side; ++x) {
      if (y < 0 || y >= image.height || x < 0 || x >= image.width) continue;
      for (int c = 0; c < image.channels; ++c) image.at(y, x, c) = 0;
    }
  }
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
        const Image image =
            make_view(call.pixels.as<std::uint8_t>(), sample, draws, view == 0 ? spec_.weak : spec_.strong);
        normalise(call.images.as<double>(), std::int64_t{view} * spec_.batch + r, image);
      }
    }
  }

 private:
  Image make_view(const std::uint8_t* data_set, std::int64_t sample, PhiloxStream& draws,
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

    if (recipe.flip && mirrored) flip(image);
    if (recipe.pad > 0) {
      Image padded = reflect_pad(image, recipe.pad);
      image = crop(padded, top, left, spec_.height, spec_.width);
    }
    if (recipe.cutout > 0) cutout(image, centre_y, centre_x, recipe.cutout);
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
