#include "support/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "support/random.h"

namespace dpll::test {
namespace {

// Derivative of the loss where inputs[name] moves along `direction`.
double derivative(const Tensors& inputs, const std::string& name, const HostTensor& direction,
                  const Loss& loss) {
  Tensors moved = inputs;
  const HostTensor& at = inputs.at(name);
  HostTensor& x = moved[name];
  for (std::int64_t i = 0; i < x.elements(); ++i) x[i] = at[i] + kGradientStep * direction[i];
  const double above = loss(moved);
  for (std::int64_t i = 0; i < x.elements(); ++i) x[i] = at[i] - kGradientStep * direction[i];
  return (above - loss(moved)) / (2 * kGradientStep);
}

std::set<std::int64_t> chosen_coordinates(Random& random, std::int64_t elements, std::int64_t wanted) {
  std::set<std::int64_t> chosen = {0, elements - 1};
  if (wanted >= elements) {
    for (std::int64_t i = 0; i < elements; ++i) chosen.insert(i);
  }
  while (static_cast<std::int64_t>(chosen.size()) < std::min(wanted, elements)) {
    chosen.insert(random.below(static_cast<int>(elements)));
  }
  return chosen;
}

}  // namespace

double inner_product(const HostTensor& a, const HostTensor& b) {
  DPLL_CHECK(a.shape == b.shape, "inner product of {} and {}", a.shape.to_string(), b.shape.to_string());
  double sum = 0;
  for (std::int64_t i = 0; i < a.elements(); ++i) sum += a[i] * b[i];
  return sum;
}

std::string check_gradient(const std::string& what, std::uint64_t seed, const Tensors& inputs,
                           const std::string& name, const HostTensor& gradient, const Loss& loss,
                           std::int64_t coordinates, const Tolerance& tolerance) {
  const HostTensor& x = inputs.at(name);
  const std::string label = fmt::format("{}: d_{}", what, name);
  if (gradient.shape != x.shape) {
    return fmt::format("{} has shape {}, {} has {}", label, gradient.shape.to_string(), name,
                       x.shape.to_string());
  }
  Random random(seed, 1000);
  // Elements that are not looked at keep the given gradient and so agree; their scale counts.
  HostTensor numeric = gradient;
  for (const std::int64_t i : chosen_coordinates(random, x.elements(), coordinates)) {
    HostTensor unit(x.shape);
    unit[i] = 1;
    numeric[i] = derivative(inputs, name, unit, loss);
  }
  std::string message = difference(label, seed, gradient, numeric, tolerance);

  // Directions of length 1, so that the step is the same; their derivatives are compared with the gradient's
  // length.
  for (int d = 0; d < 2 && message.empty(); ++d) {
    HostTensor direction = random.normal_tensor(x.shape);
    const double length = std::sqrt(inner_product(direction, direction));
    for (double& value : direction.values) value /= length;
    const double want = derivative(inputs, name, direction, loss);
    const double allowed =
        tolerance.absolute + tolerance.relative * std::sqrt(inner_product(gradient, gradient));
    const double got = inner_product(gradient, direction);
    if (std::abs(got - want) <= allowed) continue;
    message =
        fmt::format("{} {}, seed {}: along a random direction {:.9g}, numerically {:.9g}, allowed {:.3g}",
                    label, x.shape.to_string(), seed, got, want, allowed);
  }
  return message;
}

}  // namespace dpll::test
