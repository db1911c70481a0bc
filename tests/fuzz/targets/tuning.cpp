#include "backend/cuda/tuning_choices.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(tuning, ExitCode::data) {
  const std::string text(bytes.begin(), bytes.end());
  const auto choices = DPLL_CUDA_NAMESPACE::parse_choices(text, "gpu");
  const std::string again = DPLL_CUDA_NAMESPACE::to_text("gpu", choices);
  fuzz::require(DPLL_CUDA_NAMESPACE::parse_choices(again, "gpu").size() == choices.size(), "sizes");
}
