#include "data/cifar.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(cifar, ExitCode::data) {
  const CifarLabels labels = bytes.size() % 2 == 0 ? CifarLabels::fine : CifarLabels::ten;
  const ImageSet set = parse_cifar(fuzz::copy_of(bytes), "f", labels);
  fuzz::require(set.count * set.image_bytes() == static_cast<std::int64_t>(set.pixels.size()), "sizes");
}
