// Converts between doubles and the bytes of a backend's tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "selftest/compare.h"

namespace dpll::selftest {

// Converts to f16, bf16, f32 or f64, rounded to nearest.
std::vector<std::uint8_t> encode(DType dtype, const HostTensor& values);
// Converts from any dtype except u64 and i64.
HostTensor decode(DType dtype, const std::vector<std::uint8_t>& bytes, const Shape& shape);

// Half the spacing at 1 of a floating-point type.
double unit_roundoff(DType dtype);

}  // namespace dpll::selftest
