#include "candidates/numpy_legacy.h"

#include <bit>

namespace dpll {

// NumPy draws by inversion, for p > 0.5 of the complement 1 - p. Its threshold is exp(log(q)): for q in [0.5,
// 1] that is q itself with any log and exp good to 0.52 units in the last place, as glibc's are, and then its
// loop, which would start again when u exceeds the sum of both probabilities, never does.
bool NumpyLegacy::binomial(double p) {
  const bool complement = p > 0.5;
  const double q = 1 - (complement ? 1 - p : p);
  return (next_double() > q) != complement;
}

std::uint32_t NumpyLegacy::randint(std::uint32_t n) {
  const std::uint32_t largest = n - 1;
  if (largest == 0) return 0;
  const std::uint32_t mask = ~std::uint32_t{0} >> std::countl_zero(largest);
  for (;;) {
    const std::uint32_t value = next_u32() & mask;
    if (value <= largest) return value;
  }
}

}  // namespace dpll
