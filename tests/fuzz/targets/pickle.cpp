#include "data/cifar.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(pickle, ExitCode::data) {
  const ImageSet set = parse_cifar_python(fuzz::copy_of(bytes), "f", CifarLabels::ten);
  fuzz::require(set.count * set.image_bytes() == static_cast<std::int64_t>(set.pixels.size()), "sizes");
}
