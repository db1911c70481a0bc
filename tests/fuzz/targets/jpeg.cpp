#include "data/image_codecs.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(jpeg, ExitCode::data) {
  const DecodedImage image = decode_jpeg(bytes, "f");
  fuzz::require(image.height * image.width * image.channels == static_cast<std::int64_t>(image.pixels.size()),
                "sizes");
}
