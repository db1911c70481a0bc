#include "data/user_arrays.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(user_arrays, ExitCode::data) {
  const DataSet data = data_from_arrays(SafetensorsFile::parse(fuzz::copy_of(bytes), "f"));
  fuzz::require(
      data.train.count * data.train.image_bytes() == static_cast<std::int64_t>(data.train.pixels.size()),
      "sizes");
  fuzz::require(data.classes >= 2, "classes");
}
