#include <cmath>

#include "dpll/candidates.h"
#include "fuzz/targets/target.h"

using namespace dpll;

DPLL_FUZZ_TARGET(weights_csv, ExitCode::data) {
  const fuzz::MemoryFile file(bytes);
  CandidateSets sets(2, 4);
  for (const auto& [sample, label] : {std::pair{0, 0}, {0, 3}, {1, 1}, {1, 2}, {1, 3}}) {
    sets.insert(sample, label);
  }
  const std::vector<float> weights = read_weights(file.path(), sets, {3, 5}, 7);
  fuzz::require(weights.size() == 8, "another number of weights");
  for (std::int64_t i = 0; i < 2; ++i) {
    double sum = 0;
    for (int c = 0; c < 4; ++c) {
      const float weight = weights[static_cast<std::size_t>(4 * i + c)];
      fuzz::require(weight >= 0 && (weight == 0 || sets.contains(i, c)), "weight beside a set");
      sum += static_cast<double>(weight);
    }
    fuzz::require(std::abs(sum - 1) < 1e-6, "weights that do not sum to 1");
  }
}
