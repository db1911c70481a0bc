// Compares a gradient with central differences of a scalar function in double.
//
// Tolerance. With step h the difference quotient of a smooth function is off by h^2 f''' / 6, and rounding of
// f adds about eps |f| / h. At h = 1e-5 and f of order 10 to 100 these are 1e-10 (times f''', which batch
// norm over few values makes large: it grows with 1 / sigma^2) and 2e-10 to 2e-9. kRelative of the gradient's
// largest element plus kAbsolute is 10 to 100 times that, and 1000 times below what a forgotten term changes.
#pragma once

#include <functional>

#include "support/op_runner.h"

namespace dpll::test {

inline constexpr double kGradientStep = 1e-5;
inline constexpr Tolerance kGradientTolerance = {1e-7, 2e-8};

using Loss = std::function<double(const Tensors&)>;

// Checks d(loss)/d(inputs[name]) == gradient at up to `coordinates` random places, always including the first
// and the last, and along two random directions of all elements, which cover the others. Returns "" or what
// is wrong where.
std::string check_gradient(const std::string& what, std::uint64_t seed, const Tensors& inputs,
                           const std::string& name, const HostTensor& gradient, const Loss& loss,
                           std::int64_t coordinates, const Tolerance& tolerance = kGradientTolerance);

// Sum of a * b.
double inner_product(const HostTensor& a, const HostTensor& b);

}  // namespace dpll::test
