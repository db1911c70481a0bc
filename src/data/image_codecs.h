// What the decoders of src/data/image_file.cpp share: one function a format.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/files.h"

namespace dpll {

struct DecodedImage {
  std::int64_t height = 0, width = 0;
  int channels = 0;                  // 1 (grey) or 3 (RGB)
  std::vector<std::uint8_t> pixels;  // [height, width, channels]
  int orientation = 1;               // EXIF's, 1 to 8; not yet applied
};

// Error(data) as decode_image().
DecodedImage decode_png(ByteView bytes, const std::string& path);
DecodedImage decode_jpeg(ByteView bytes, const std::string& path);

// Error(data): no pixels, or more than kMostImagePixels.
void check_image_size(std::int64_t height, std::int64_t width, const std::string& path);
// The orientation that an EXIF block (a TIFF header and its first folder of tags) names; 1 when it names
// none.
int exif_orientation(ByteView exif);

}  // namespace dpll
