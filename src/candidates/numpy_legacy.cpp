#include "candidates/numpy_legacy.h"

#include <bit>

namespace dpll {

// NumPy draws by inversion, for p > 0.5 with the complement 1 - p. Its threshold is exp(log(q)). For q in
// [0.5, 1] this is q itself if log and exp have an error of at most 0.52 units in the last place, as in
// glibc. NumPy's loop starts again if u exceeds the sum of both probabilities; in this case that never
// happens.
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
