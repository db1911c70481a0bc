#include "support/random.h"

#include <cmath>
#include <numbers>

namespace dpll::test {

// The purpose is one that no operation draws for; what matters is only that streams differ.
Random::Random(std::uint64_t seed, std::uint32_t stream) : draws_(seed, Purpose::split, 0, stream, 0xFFFF) {}

double Random::uniform(double low, double high) {
  return as_float(low + (high - low) * (static_cast<double>(draws_.next()) / 0x1p32));
}

// Box and Muller 1958; the first uniform is kept away from 0.
double Random::normal(double mean, double sigma) {
  const double u = (static_cast<double>(draws_.next()) + 0.5) / 0x1p32;
  const double angle = 2 * std::numbers::pi * (static_cast<double>(draws_.next()) / 0x1p32);
  return as_float(mean + sigma * std::sqrt(-2 * std::log(u)) * std::cos(angle));
}

int Random::below(int n) {
  return static_cast<int>(draws_.next_below(static_cast<std::uint32_t>(n)));
}

HostTensor Random::uniform_tensor(const Shape& shape, double low, double high) {
  HostTensor result(shape);
  for (double& value : result.values) value = uniform(low, high);
  return result;
}

HostTensor Random::normal_tensor(const Shape& shape, double mean, double sigma) {
  HostTensor result(shape);
  for (double& value : result.values) value = normal(mean, sigma);
  return result;
}

}  // namespace dpll::test
