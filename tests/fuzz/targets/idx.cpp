#include "data/idx.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(idx, ExitCode::data) {
  if (bytes.size() > 3 && bytes[3] == 1) {
    for (const std::int32_t label : parse_idx_labels(fuzz::copy_of(bytes), "f", 10)) {
      fuzz::require(label >= 0 && label < 10, "a label out of range");
    }
    return;
  }
  const ImageSet set = parse_idx_images(fuzz::copy_of(bytes), "f");
  fuzz::require(set.count * set.image_bytes() == static_cast<std::int64_t>(set.pixels.size()), "sizes");
}
