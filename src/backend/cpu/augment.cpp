// augment on the CPU: one image and view at a time, images spread over the threads.
#include <array>
#include <cstddef>
#include <cstring>

#include "augment/resize.h"
#include "augment/view_draw.h"
#include "backend/cpu/batch_rows.h"
#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/image_ops.h"
#include "backend/cpu/parallel.h"

namespace dpll::cpu {
namespace {

constexpr std::int64_t kImagesPerChunk = 4;

// Writes columns [begin, end) of one output row. `to` and `from` are the beginnings of rows of `channels`
// interleaved values.
void place_columns(std::uint8_t* to, const std::uint8_t* from, const ViewDraw& draw, int begin, int end,
                   int width, int channels) {
  for (int x = begin; x < end; ++x) {
    const std::uint8_t* pixel = from + source_x(draw, x, width) * channels;
    for (int c = 0; c < channels; ++c) to[x * channels + c] = pixel[c];
  }
}

// `row`: an output row of a shifted crop, whose border becomes black.
void blacken_border(std::uint8_t* row, const ViewDraw& draw, int y, int height, int width, int channels) {
  const Interval shown = clipped_interval(-draw.crop_x, width, width);
  const bool outside = in_border(draw, y, shown.begin, height, width);
  const int begin = outside ? width : shown.begin, end = outside ? width : shown.end;
  std::memset(row, 0, static_cast<std::size_t>(begin * channels));
  std::memset(row + std::ptrdiff_t{end} * channels, 0, static_cast<std::size_t>((width - end) * channels));
}

void place(std::uint8_t* to, const std::uint8_t* from, const ViewDraw& draw, int height, int width,
           int channels) {
  // Columns that are neither reflected nor mirrored are one run of bytes.
  const Interval run = clipped_interval(-draw.crop_x, width, width);
  const std::int64_t row_bytes = std::int64_t{width} * channels;
  const auto bytes = [&](int columns) {
    return static_cast<std::size_t>(columns) * static_cast<std::size_t>(channels);
  };
  for (int y = 0; y < height; ++y) {
    std::uint8_t* row = to + y * row_bytes;
    const std::uint8_t* source = from + source_y(draw, y, height) * row_bytes;
    if (draw.flip) {
      place_columns(row, source, draw, 0, width, width, channels);
    } else {
      place_columns(row, source, draw, 0, run.begin, width, channels);
      std::memcpy(row + run.begin * channels, source + (run.begin + draw.crop_x) * channels,
                  bytes(run.end - run.begin));
      place_columns(row, source, draw, run.end, width, width, channels);
    }
    if (draw.zero_border) blacken_border(row, draw, y, height, width, channels);
  }
}

// `scratch` holds another image, for the crop with the width of the output.
void resize_crop(std::uint8_t* to, std::uint8_t* scratch, const std::uint8_t* from, const ViewDraw& draw,
                 int height, int width, int channels) {
  const std::ptrdiff_t row_bytes = std::ptrdiff_t{width} * channels;
  const std::uint8_t* const corner = from + draw.crop_y * row_bytes + std::ptrdiff_t{draw.crop_x} * channels;
  for (int x = 0; x < width; ++x) {
    const ResizeTaps taps = resize_taps(x, draw.crop_width, width);
    const std::ptrdiff_t column = std::ptrdiff_t{draw.flip ? width - 1 - x : x} * channels;
    for (int y = 0; y < draw.crop_height; ++y) {
      for (int c = 0; c < channels; ++c) {
        scratch[y * row_bytes + column + c] = resized_value(corner + y * row_bytes + c, channels, taps);
      }
    }
  }
  for (int y = 0; y < height; ++y) {
    const ResizeTaps taps = resize_taps(y, draw.crop_height, height);
    for (std::ptrdiff_t i = 0; i < row_bytes; ++i) {
      to[y * row_bytes + i] = resized_value(scratch + i, static_cast<int>(row_bytes), taps);
    }
  }
}

void blacken_box(std::uint8_t* image, const ViewDraw& draw, int width, int channels) {
  const std::int64_t row_bytes = std::int64_t{width} * channels;
  const auto box_bytes = static_cast<std::size_t>((draw.box_x1 - draw.box_x0) * channels);
  for (int y = draw.box_y0; y < draw.box_y1; ++y) {
    std::memset(image + y * row_bytes + draw.box_x0 * channels, 0, box_bytes);
  }
}

using NormaliseTable = std::array<std::array<float, 256>, kMaxImageChannels>;

// `from` may lie in the last quarter of `to`'s bytes: value i is read before it is overwritten.
template <int kChannels>
void normalise(float* to, const std::uint8_t* from, const NormaliseTable& table, std::int64_t pixels) {
  for (std::int64_t i = 0; i < pixels * kChannels; i += kChannels) {
    for (int c = 0; c < kChannels; ++c) {
      to[i + c] = table[static_cast<std::size_t>(c)][from[i + c]];
    }
  }
}

class CpuAugment final : public Augment {
 public:
  explicit CpuAugment(const AugmentSpec& spec)
      : spec_(spec),
        weak_policy_(prepare_policy(spec.weak, spec.height, spec.width)),
        strong_policy_(prepare_policy(spec.strong, spec.height, spec.width)) {
    check_spec(spec);
    DPLL_CHECK(spec.zero_channels == 0, "the CPU's images have no zero channels");
    for (std::size_t c = 0; c < static_cast<std::size_t>(spec.channels); ++c) {
      for (std::size_t i = 0; i < 256; ++i) {
        table_[c][i] = normalise_pixel(static_cast<std::uint8_t>(i), spec.mean[c], spec.std[c]);
      }
    }
  }

  void run(const AugmentCall& call) override {
    const std::int64_t image = std::int64_t{spec_.height} * spec_.width * spec_.channels;
    const std::int64_t images = std::int64_t{spec_.views} * spec_.batch;
    DPLL_CHECK(call.images.elements() == images * image, "images {}", call.images.shape.to_string());
    DPLL_CHECK(call.pixels.shape.rank() == 4 && call.pixels.elements() == call.pixels.shape[0] * image,
               "pixels {}", call.pixels.shape.to_string());
    check_rows(call.rows, spec_.batch, call.pixels.shape[0]);
    auto* out = call.images.as<float>();
    const auto* pixels = call.pixels.as<std::uint8_t>();
    parallel_chunks(images, kImagesPerChunk, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t sample = sample_of(call.rows, i % spec_.batch);
        make_view(out + i * image, pixels + sample * image, *call.rows.step, sample, i / spec_.batch);
      }
    });
  }

 private:
  void make_view(float* out, const std::uint8_t* image, const StepState& step, std::int64_t sample,
                 std::int64_t view) const {
    const ViewRecipe& recipe = view == 0 ? spec_.weak : spec_.strong;
    const ViewKey key{step.seed, step.epoch, static_cast<std::uint32_t>(sample),
                      static_cast<std::uint32_t>(view)};
    PhiloxStream stream = view_stream(key);
    ViewDraw draw = draw_view(stream, recipe, spec_.height, spec_.width);
    if (recipe.crop == CropKind::resized) {
      draw_resized_crop(draw, key, recipe.resized, spec_.height, spec_.width);
    }
    ColourDraw colours;
    draw_colours(colours, key, recipe.jitter, recipe.grey);
    const PreparedPolicy& policy = view == 0 ? weak_policy_ : strong_policy_;
    const PolicyDraw ops = draw_policy(stream, policy);
    // The uint8 view is built in the last quarter of its own output, with the quarter before as scratch:
    // enough for any size.
    const std::int64_t pixels = std::int64_t{spec_.height} * spec_.width;
    auto* view_pixels = reinterpret_cast<std::uint8_t*>(out) + 3 * pixels * spec_.channels;
    std::uint8_t* const scratch = view_pixels - pixels * spec_.channels;
    if (draw.crop_height > 0) {
      resize_crop(view_pixels, scratch, image, draw, spec_.height, spec_.width, spec_.channels);
    } else {
      place(view_pixels, image, draw, spec_.height, spec_.width, spec_.channels);
    }
    if (!recipe.cutout_after) blacken_box(view_pixels, draw, spec_.width, spec_.channels);
    if (colours.count + ops.count > 0) {
      apply_draws(view_pixels, scratch, colours, policy, ops, {spec_.height, spec_.width, spec_.channels});
    }
    if (recipe.cutout_after) blacken_box(view_pixels, draw, spec_.width, spec_.channels);
    switch (spec_.channels) {
      case 1:
        return normalise<1>(out, view_pixels, table_, pixels);
      case 2:
        return normalise<2>(out, view_pixels, table_, pixels);
      case 3:
        return normalise<3>(out, view_pixels, table_, pixels);
      default:
        return normalise<4>(out, view_pixels, table_, pixels);
    }
  }

  AugmentSpec spec_;
  PreparedPolicy weak_policy_, strong_policy_;
  NormaliseTable table_{};
};

}  // namespace

std::unique_ptr<Augment> make_augment(const AugmentSpec& spec) {
  return std::make_unique<CpuAugment>(spec);
}

}  // namespace dpll::cpu
