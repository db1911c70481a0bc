// Tensor views of a test's own vectors.
#pragma once

#include <vector>

#include "dpll/core/tensor.h"

namespace dpll::test {

template <typename T>
Tensor tensor_of(std::vector<T>& values, const Shape& shape) {
  DPLL_CHECK(static_cast<std::int64_t>(values.size()) == shape.elements(), "{} values for {}", values.size(),
             shape.to_string());
  return Tensor{values.data(), dtype_of<T>, shape};
}

template <typename T>
Tensor tensor_of(std::vector<T>& values) {
  return tensor_of(values, {static_cast<std::int64_t>(values.size())});
}

}  // namespace dpll::test
