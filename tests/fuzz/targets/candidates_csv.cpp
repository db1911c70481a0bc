#include "dpll/candidates.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(candidates_csv, ExitCode::data) {
  const fuzz::MemoryFile file(bytes);
  const CandidateSets sets = read_candidates(file.path(), 3, 70);
  for (std::int64_t i = 0; i < 3; ++i) fuzz::require(sets.size(i) >= 1 && sets.size(i) <= 70, "an empty set");
}
