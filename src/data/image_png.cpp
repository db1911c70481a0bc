// libpng reports errors through a function that must not return: see image_jpeg.cpp.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "data/image_codecs.h"
#include "dpll/core/check.h"
#include "io/text.h"

namespace dpll {
namespace {

constexpr png_uint_32 kMostSide = 1 << 20;

struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ByteView left;
  std::jmp_buf failed{};
  char message[200] = {};

  PngReader() = default;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
};

[[noreturn]] void give_up(png_structp png, png_const_charp message) {
  auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
  std::snprintf(reader->message, sizeof(reader->message), "%s", message);
  std::longjmp(reader->failed, 1);
}

// Of what may be left out (a wrong colour profile, a text).
void ignore_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, std::size_t bytes) {
  auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (bytes > reader->left.size()) png_error(png, "truncated");
  std::memcpy(out, reader->left.data(), bytes);
  reader->left = reader->left.subspan(bytes);
}

// Each chunk of the file (length, name, data, checksum) lies within it. libpng takes the memory that a length
// names before it sees that the data are missing.
void check_chunks(ByteView bytes, const std::string& path) {
  constexpr std::size_t kSignature = 8, kAround = 12;
  std::size_t at = kSignature;
  while (true) {
    if (bytes.size() < at + kAround) {
      fail(ExitCode::data, "{}: not a whole PNG file: truncated before its end chunk", path);
    }
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | bytes[at + i];
    if (length > bytes.size() - at - kAround) {
      fail(ExitCode::data,
           "{}: not a whole PNG file: truncated: the chunk at byte {} announces {} bytes, {} follow", path,
           at, length, bytes.size() - at - kAround);
    }
    if (std::memcmp(&bytes[at + 4], "IEND", 4) == 0) return;
    at += kAround + length;
  }
}

bool read_header(PngReader& reader) {
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, give_up, ignore_warning);
  if (reader.png == nullptr) return false;
  if (setjmp(reader.failed) != 0) return false;
  reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) return false;
  constexpr std::size_t kMostOfAChunk = 8'000'000, kMostChunks = 1000;  // of those beside the pixels
  png_set_user_limits(reader.png, kMostSide, kMostSide);
  png_set_chunk_malloc_max(reader.png, kMostOfAChunk);
  png_set_chunk_cache_max(reader.png, kMostChunks);
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_read_info(reader.png, reader.info);
  return true;
}

// Asks for 8 bits, without transparency. Grey or RGB stays as it is, a palette becomes RGB.
bool choose_format(PngReader& reader) {
  if (setjmp(reader.failed) != 0) return false;
  const int colour = png_get_color_type(reader.png, reader.info);
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(reader.png);
  if (colour == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(reader.png);
  png_set_strip_16(reader.png);
  png_set_strip_alpha(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

// `passes`: 7 of an interlaced file, else 1. The end of the file is read as well, so that one that was cut
// off is noticed.
bool read_rows(PngReader& reader, std::uint8_t* pixels, std::size_t row_bytes, std::size_t rows, int passes) {
  if (setjmp(reader.failed) != 0) return false;
  for (int pass = 0; pass < passes; ++pass) {
    for (std::size_t y = 0; y < rows; ++y) png_read_row(reader.png, pixels + y * row_bytes, nullptr);
  }
  png_read_end(reader.png, reader.info);
  return true;
}

int orientation_of(const PngReader& reader) {
#ifdef PNG_eXIf_SUPPORTED
  png_uint_32 bytes = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(reader.png, reader.info, &bytes, &exif) != 0 && exif != nullptr) {
    return exif_orientation({exif, bytes});
  }
#endif
  return 1;
}

}  // namespace

DecodedImage decode_png(ByteView bytes, const std::string& path) {
  check_chunks(bytes, path);
  PngReader reader;
  reader.left = bytes;
  const auto refuse = [&] {
    fail(ExitCode::data, "{}: not a whole PNG file: {}", path,
         reader.message[0] != 0 ? printable(reader.message) : "libpng does not start");
  };
  if (!read_header(reader)) refuse();
  DecodedImage image;
  image.height = png_get_image_height(reader.png, reader.info);
  image.width = png_get_image_width(reader.png, reader.info);
  check_image_size(image.height, image.width, path);
  const int colour = png_get_color_type(reader.png, reader.info);
  const bool grey = (colour & PNG_COLOR_MASK_COLOR) == 0;
  if (grey && png_get_bit_depth(reader.png, reader.info) == 16) {
    fail(ExitCode::data,
         "{}: a PNG file of 16 bits of grey, expected 8 (Pillow would cut the values off at 255)", path);
  }
  const int passes = png_get_interlace_type(reader.png, reader.info) == PNG_INTERLACE_NONE ? 1 : 7;
  if (!choose_format(reader)) refuse();
  image.channels = grey ? 1 : 3;
  const std::size_t row_bytes =
      static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.channels);
  DPLL_CHECK(png_get_rowbytes(reader.png, reader.info) == row_bytes, "{}: rows of {} bytes, not {}", path,
             png_get_rowbytes(reader.png, reader.info), row_bytes);
  image.pixels.resize(static_cast<std::size_t>(image.height) * row_bytes);
  if (!read_rows(reader, image.pixels.data(), row_bytes, static_cast<std::size_t>(image.height), passes)) {
    refuse();
  }
  image.orientation = orientation_of(reader);
  return image;
}

}  // namespace dpll
