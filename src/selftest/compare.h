// Compares what an operation computed with what it should have. A tensor of either side is held as doubles,
// which every element type of the engine converts to exactly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/core/tensor.h"

namespace dpll::selftest {

struct HostTensor {
  Shape shape;
  std::vector<double> values;  // row-major, shape.elements() of them

  HostTensor() = default;
  explicit HostTensor(const Shape& shape_, double value = 0)
      : shape(shape_), values(static_cast<std::size_t>(shape_.elements()), value) {}

  std::int64_t elements() const { return static_cast<std::int64_t>(values.size()); }
  double& operator[](std::int64_t i) { return values[static_cast<std::size_t>(i)]; }
  double operator[](std::int64_t i) const { return values[static_cast<std::size_t>(i)]; }
};

template <typename T>
HostTensor host_tensor(const T* values, const Shape& shape) {
  HostTensor result(shape);
  for (std::int64_t i = 0; i < result.elements(); ++i) result[i] = static_cast<double>(values[i]);
  return result;
}

// An element may be off by absolute + relative * (largest finite |wanted element|). Zero for both: equal as
// numbers.
struct Tolerance {
  double relative = 0;
  double absolute = 0;
};

struct Deviation {
  double worst = 0;     // largest |got - want|
  double allowed = 0;   // what the tolerance comes to
  std::string message;  // empty if and only if the tensors agree
};

// Wrong shapes, NaN where a number should be (or the other way round) and an infinity that is not the same
// infinity never agree, whatever the tolerance. The message says what, shape, seed, the first bad coordinate
// with both values, how many are bad, and the worst.
Deviation compare(const std::string& what, std::uint64_t seed, const HostTensor& got, const HostTensor& want,
                  const Tolerance& tolerance);

// compare(...).message, so that a test reads CHECK(difference(...) == "").
std::string difference(const std::string& what, std::uint64_t seed, const HostTensor& got,
                       const HostTensor& want, const Tolerance& tolerance);

// "[1,0,7]": where the i-th element of a tensor of this shape is.
std::string coordinate(const Shape& shape, std::int64_t i);

}  // namespace dpll::selftest
