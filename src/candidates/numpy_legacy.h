// The part of NumPy's legacy generator (numpy.random.seed, numpy.random.RandomState) with which the published
// candidate sets are drawn. NumPy's compatibility policy keeps it the same in every version. All numbers, and
// the number of draws from the underlying MT19937, are the same; tools/golden/make_candidates.py makes the
// values for comparison.
#pragma once

#include <cstdint>
#include <random>

namespace dpll {

class NumpyLegacy {
 public:
  // numpy.random.seed(seed): MT19937's init_genrand, which the C++ standard also prescribes.
  explicit NumpyLegacy(std::uint32_t seed) : engine_(seed) {}

  std::uint32_t next_u32() { return static_cast<std::uint32_t>(engine_()); }

  // random_sample(): 53 bits from two words, the first giving the upper 27.
  double next_double() {
    const std::uint32_t upper = next_u32() >> 5;
    const std::uint32_t lower = next_u32() >> 6;
    return (upper * 67108864.0 + lower) / 9007199254740992.0;
  }

  // binomial(1, p), p in [0, 1]: one double, also for p = 0.
  bool binomial(double p);

  // randint(0, n), n >= 1: takes words masked to the bits of n - 1 until one is below n; takes none for n
  // = 1.
  std::uint32_t randint(std::uint32_t n);

 private:
  std::mt19937 engine_;
};

}  // namespace dpll
