#include "data/image_file.h"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "data/image_codecs.h"
#include "dpll/core/check.h"

namespace dpll {
namespace {

bool begins_with(ByteView bytes, std::string_view mark, std::size_t at = 0) {
  return bytes.size() >= at + mark.size() &&
         std::equal(mark.begin(), mark.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

bool is_png(ByteView bytes) {
  return begins_with(bytes, "\x89PNG\r\n\x1a\n");
}

bool is_jpeg(ByteView bytes) {
  return begins_with(bytes, "\xFF\xD8\xFF");
}

// " (it looks like GIF)"; or nothing.
std::string guessed_format(ByteView bytes) {
  struct Mark {
    std::string_view bytes;
    std::size_t at;
    const char* name;
  };
  for (const Mark& mark : std::initializer_list<Mark>{{"GIF8", 0, "GIF"},
                                                      {"BM", 0, "BMP"},
                                                      {"WEBP", 8, "WebP"},
                                                      {{"II*\0", 4}, 0, "TIFF"},
                                                      {{"MM\0*", 4}, 0, "TIFF"},
                                                      {"ftyp", 4, "HEIC or AVIF"},
                                                      {"8BPS", 0, "Photoshop"}}) {
    if (begins_with(bytes, mark.bytes, mark.at)) return fmt::format(" (it looks like {})", mark.name);
  }
  return "";
}

void to_grey(DecodedImage& image) {
  const std::size_t count = image.pixels.size() / 3;
  for (std::size_t i = 0; i < count; ++i) {
    // Pillow's integers, of a sum of 65536.
    const std::uint8_t* rgb = &image.pixels[3 * i];
    image.pixels[i] =
        static_cast<std::uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
  }
  image.pixels.resize(count);
  image.channels = 1;
}

void to_rgb(DecodedImage& image) {
  std::vector<std::uint8_t> rgb;
  rgb.reserve(3 * image.pixels.size());
  for (const std::uint8_t grey : image.pixels) rgb.insert(rgb.end(), 3, grey);
  image.pixels = std::move(rgb);
  image.channels = 3;
}

// EXIF's orientations 2 to 8 are mirrored (2, 4, 5, 7), upside down, or lie on a side (5 to 8).
void turn_upright(DecodedImage& image) {
  if (image.orientation < 2 || image.orientation > 8) return;
  const bool swaps = image.orientation >= 5;
  const std::int64_t height = swaps ? image.width : image.height, width = swaps ? image.height : image.width;
  const bool from_right =
      image.orientation == 2 || image.orientation == 3 || image.orientation == 7 || image.orientation == 8;
  const bool from_below =
      image.orientation == 3 || image.orientation == 4 || image.orientation == 6 || image.orientation == 7;
  const auto channels = static_cast<std::size_t>(image.channels);
  std::vector<std::uint8_t> upright;
  upright.reserve(image.pixels.size());
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      std::int64_t from_y = swaps ? x : y, from_x = swaps ? y : x;
      if (from_below) from_y = image.height - 1 - from_y;
      if (from_right) from_x = image.width - 1 - from_x;
      const std::uint8_t* pixel =
          &image.pixels[static_cast<std::size_t>(from_y * image.width + from_x) * channels];
      upright.insert(upright.end(), pixel, pixel + channels);
    }
  }
  image.pixels = std::move(upright);
  image.height = height;
  image.width = width;
}

}  // namespace

void check_image_size(std::int64_t height, std::int64_t width, const std::string& path) {
  if (height < 1 || width < 1 || width > kMostImagePixels || height > kMostImagePixels / width) {
    fail(ExitCode::data, "{}: a picture of {}x{} pixels; at most {} are read", path, height, width,
         kMostImagePixels);
  }
}

int exif_orientation(ByteView exif) {
  const bool big = begins_with(exif, {"MM\0*", 4});
  if (!big && !begins_with(exif, {"II*\0", 4})) return 1;
  // Unsigned number of `bytes` bytes; 0 where the block is too short.
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint32_t value = 0;
    if (at > exif.size() || bytes > exif.size() - at) return value;
    for (std::size_t i = 0; i < bytes; ++i) {
      value |= std::uint32_t{exif[at + i]} << 8 * (big ? bytes - 1 - i : i);
    }
    return value;
  };
  constexpr std::size_t kTagBytes = 12;
  constexpr std::uint32_t kOrientation = 0x0112, kShort = 3;
  const std::size_t folder = number(4, 4), tags = number(folder, 2);
  for (std::size_t i = 0; i < tags; ++i) {
    const std::size_t tag = folder + 2 + i * kTagBytes;
    if (number(tag, 2) != kOrientation || number(tag + 2, 2) != kShort) continue;
    const std::uint32_t orientation = number(tag + 8, 2);
    return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
  }
  return 1;
}

bool is_image_file(ByteView bytes) {
  return is_png(bytes) || is_jpeg(bytes);
}

std::int64_t announced_pixels(ByteView bytes) {
  const auto number = [&](std::size_t at, std::size_t size) {
    std::int64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[at + i];
    return value;
  };
  const auto product = [](std::int64_t height, std::int64_t width) {
    return height == 0 || width > kMostImagePixels / height ? kMostImagePixels : height * width;
  };
  constexpr std::size_t kPngSizes = 16, kPngHead = 24;
  if (is_png(bytes)) {
    return bytes.size() < kPngHead ? kMostImagePixels
                                   : product(number(kPngSizes + 4, 4), number(kPngSizes, 4));
  }
  // JPEG: segments of a marker and a length, until the one that begins a frame (C0 to CF but for C4, C8, CC).
  std::size_t at = 2;
  while (at + 9 <= bytes.size() && bytes[at] == 0xFF) {
    const std::uint8_t marker = bytes[at + 1];
    if (marker == 0xFF) {
      ++at;
      continue;
    }
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
      return product(number(at + 5, 2), number(at + 7, 2));
    }
    at += 2 + static_cast<std::size_t>(number(at + 2, 2));
  }
  return kMostImagePixels;
}

ImageSet decode_image(ByteView bytes, const std::string& path, int channels) {
  if (channels != 0 && channels != 1 && channels != 3) {
    fail(ExitCode::data, "{}: pictures have 1 or 3 channels, expected {}", path, channels);
  }
  if (!is_image_file(bytes)) {
    fail(ExitCode::data, "{}: not a PNG or JPEG file{}; other formats are to be converted to one of these",
         path, guessed_format(bytes));
  }
  DecodedImage image = is_png(bytes) ? decode_png(bytes, path) : decode_jpeg(bytes, path);
  if (channels == 1 && image.channels == 3) to_grey(image);
  if (channels == 3 && image.channels == 1) to_rgb(image);
  turn_upright(image);
  return {.count = 1,
          .height = image.height,
          .width = image.width,
          .channels = image.channels,
          .pixels = std::move(image.pixels),
          .labels = {}};
}

}  // namespace dpll
