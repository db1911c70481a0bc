#include "data/svhn.h"
#include "data/tabular.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(mat, ExitCode::data) {
  // One byte more chooses between the two kinds of set.
  if (bytes.empty() || bytes[0] % 2 == 0) {
    const ImageSet set = parse_svhn(fuzz::copy_of(bytes.subspan(bytes.empty() ? 0 : 1)), "f");
    fuzz::require(set.count * set.image_bytes() == static_cast<std::int64_t>(set.pixels.size()), "sizes");
    return;
  }
  const DataSet data = parse_tabular(fuzz::copy_of(bytes.subspan(1)), "f");
  fuzz::require(
      data.train.count * data.train.channels == static_cast<std::int64_t>(data.train.features.size()),
      "sizes");
}
