#include "fuzz/targets/target.h"
#include "train/checkpoint_checks.h"

using namespace dpll;

DPLL_FUZZ_TARGET(checkpoint, ExitCode::data) {
  static const CandidateSets candidates = [] {
    CandidateSets sets(2, 3);
    sets.insert(0, 1);
    sets.insert(1, 0);
    sets.insert(1, 2);
    return sets;
  }();
  check_checkpoint(SafetensorsFile::parse(fuzz::copy_of(bytes), "f"), {4, candidates});
}
