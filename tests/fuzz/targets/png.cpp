#include <zlib.h>

#include "data/image_codecs.h"
#include "fuzz/targets/target.h"

using namespace dpll;

namespace {

// With the right checksum behind each chunk: by chance there is none, and libpng would look no further.
std::vector<std::uint8_t> with_checksums(ByteView bytes) {
  constexpr std::size_t kSignature = 8, kAround = 12;
  std::vector<std::uint8_t> fixed = fuzz::copy_of(bytes);
  std::size_t at = kSignature;
  while (fixed.size() >= at + kAround) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | fixed[at + i];
    if (length > fixed.size() - at - kAround) break;
    const uLong sum = crc32(0, &fixed[at + 4], static_cast<uInt>(length + 4));
    for (std::size_t i = 0; i < 4; ++i) {
      fixed[at + 8 + length + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
    }
    at += kAround + length;
  }
  return fixed;
}

}  // namespace

DPLL_FUZZ_TARGET(png, ExitCode::data) {
  const DecodedImage image = decode_png(with_checksums(bytes), "f");
  fuzz::require(image.height * image.width * image.channels == static_cast<std::int64_t>(image.pixels.size()),
                "sizes");
}
