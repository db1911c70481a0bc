#include "fuzz/targets/target.h"
#include "io/unzip.h"

using namespace dpll;

DPLL_FUZZ_TARGET(gz, ExitCode::data) {
  const std::vector<std::uint8_t> unzipped = unzip(bytes, "f", idx_limit);
  fuzz::require(unzipped.size() <= idx_limit(unzipped, bytes.size()), "more than the limit");
}
