// Random test tensors, a pure function of a seed. Every value is a float32, so that backends of either
// precision start from the same numbers. The seed appears in the messages of compare().
#pragma once

#include "dpll/core/philox.h"
#include "support/compare.h"

namespace dpll::test {

class Random {
 public:
  // Streams with different numbers are independent.
  explicit Random(std::uint64_t seed, std::uint32_t stream = 0);

  double uniform(double low, double high);  // high is not reached, but for the rounding to float32
  double normal(double mean = 0, double sigma = 1);
  int below(int n);  // 0..n-1
  bool chance(double probability) { return uniform(0, 1) < probability; }

  HostTensor uniform_tensor(const Shape& shape, double low, double high);
  HostTensor normal_tensor(const Shape& shape, double mean = 0, double sigma = 1);

 private:
  PhiloxStream draws_;
};

// The nearest float32 value.
inline double as_float(double value) {
  return static_cast<double>(static_cast<float>(value));
}

}  // namespace dpll::test
