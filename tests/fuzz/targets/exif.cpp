#include "data/image_codecs.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(exif, ExitCode::data) {
  const int orientation = exif_orientation(bytes);
  fuzz::require(orientation >= 1 && orientation <= 8, "an orientation out of range");
}
