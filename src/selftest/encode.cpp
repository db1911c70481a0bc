#include "selftest/encode.h"

#include <cstring>

#include "core/half.h"

namespace dpll::selftest {
namespace {

template <typename T>
T stored_at(const std::vector<std::uint8_t>& bytes, std::size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

double number_at(DType dtype, const std::vector<std::uint8_t>& bytes, std::size_t i) {
  switch (dtype) {
    case DType::f64:
      return stored_at<double>(bytes, i);
    case DType::f32:
      return stored_at<float>(bytes, i);
    case DType::f16:
      return f16_to_float(stored_at<std::uint16_t>(bytes, i));
    case DType::bf16:
      return bf16_to_float(stored_at<std::uint16_t>(bytes, i));
    case DType::i32:
      return stored_at<std::int32_t>(bytes, i);
    case DType::u8:
      return bytes[i];
    default:
      fail(ExitCode::internal, "no conversion from {}", name_of(dtype));
  }
}

}  // namespace

std::vector<std::uint8_t> encode(DType dtype, const HostTensor& values) {
  std::vector<std::uint8_t> bytes(values.values.size() * size_of(dtype));
  const auto store = [&](std::size_t i, const auto& value) {
    std::memcpy(bytes.data() + i * sizeof(value), &value, sizeof(value));
  };
  for (std::size_t i = 0; i < values.values.size(); ++i) {
    const auto value = static_cast<float>(values.values[i]);
    if (dtype == DType::f64) {
      store(i, values.values[i]);
    } else if (dtype == DType::f16) {
      store(i, float_to_f16(value));
    } else if (dtype == DType::bf16) {
      store(i, float_to_bf16(value));
    } else {
      DPLL_CHECK(dtype == DType::f32, "no conversion to {}", name_of(dtype));
      store(i, value);
    }
  }
  return bytes;
}

HostTensor decode(DType dtype, const std::vector<std::uint8_t>& bytes, const Shape& shape) {
  HostTensor result(shape);
  DPLL_CHECK(result.values.size() * size_of(dtype) == bytes.size(), "{} bytes for {} {}", bytes.size(),
             name_of(dtype), shape.to_string());
  for (std::size_t i = 0; i < result.values.size(); ++i) result.values[i] = number_at(dtype, bytes, i);
  return result;
}

double unit_roundoff(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 0x1p-53;
    case DType::f32:
      return 0x1p-24;
    case DType::f16:
      return 0x1p-11;
    case DType::bf16:
      return 0x1p-8;
    default:
      fail(ExitCode::internal, "{} does not round", name_of(dtype));
  }
}

}  // namespace dpll::selftest
