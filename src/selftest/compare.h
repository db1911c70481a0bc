// Compares the results of an operation with the expected ones. Both tensors are stored as doubles; every
// element type of the engine converts to double exactly.
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

// The allowed error of an element is absolute + relative * (largest finite |expected element|). If both are
// zero, the numbers must be equal.
struct Tolerance {
  double relative = 0;
  double absolute = 0;
};

struct Deviation {
  double worst = 0;     // largest |got - want|
  double allowed = 0;   // the allowed error
  std::string message;  // empty if and only if the tensors agree
};

// Wrong shapes, a NaN instead of a number (or a number instead of a NaN) and different infinities never
// agree, whatever the tolerance is. The message has the name, shape, seed, the first wrong coordinate with
// both values, the number of wrong elements, and the largest error.
Deviation compare(const std::string& what, std::uint64_t seed, const HostTensor& got, const HostTensor& want,
                  const Tolerance& tolerance);

// compare(...).message, so that a test reads CHECK(difference(...) == "").
std::string difference(const std::string& what, std::uint64_t seed, const HostTensor& got,
                       const HostTensor& want, const Tolerance& tolerance);

// "[1,0,7]": the coordinates of the i-th element of a tensor with this shape.
std::string coordinate(const Shape& shape, std::int64_t i);

}  // namespace dpll::selftest
