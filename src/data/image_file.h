// Pictures in files: PNG by libpng and JPEG by libjpeg-turbo, as Pillow's open() and convert() read them.
#pragma once

#include <cstdint>
#include <string>

#include "dpll/data.h"
#include "dpll/files.h"

namespace dpll {

inline constexpr std::int64_t kMostImagePixels = std::int64_t{1} << 26;

// Whether the first bytes are those of a PNG or JPEG file.
bool is_image_file(ByteView bytes);

// Height times width as a PNG or JPEG file announces them, without decoding it; kMostImagePixels where they
// are not found.
std::int64_t announced_pixels(ByteView bytes);

// The picture, one image without a label: [height, width, channels], rows from above. `channels`: 3 (RGB; a
// grey picture has three equal values), 1 (grey, Pillow's weights 0.299, 0.587 and 0.114), or 0: 1 for a grey
// picture, else 3. Transparency is left out, of 16 bits a sample the upper 8 are kept (colours only), and the
// orientation that a camera notes (EXIF) is applied, as Pillow's ImageOps.exif_transpose does.
// Error(data), naming `path`: another format, truncated or damaged, CMYK, 16 bits of grey, more than
// kMostImagePixels; nothing is allocated for a picture that is too large.
ImageSet decode_image(ByteView bytes, const std::string& path, int channels);

}  // namespace dpll
