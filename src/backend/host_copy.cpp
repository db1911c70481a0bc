#include "backend/host_copy.h"

#include <algorithm>
#include <cstdint>

#include "core/half.h"

namespace dpll {
namespace {

template <typename Stored, typename ToFloat>
std::vector<float> read_as(Backend& backend, const Tensor& from, const ToFloat& to_float) {
  std::vector<Stored> stored(static_cast<std::size_t>(from.elements()));
  backend.copy_out(stored.data(), from);
  std::vector<float> values(stored.size());
  std::transform(stored.begin(), stored.end(), values.begin(), to_float);
  return values;
}

template <typename Stored, typename FromFloat>
void write_as(Backend& backend, const Tensor& to, const std::vector<float>& values,
              const FromFloat& from_float) {
  std::vector<Stored> stored(values.size());
  std::transform(values.begin(), values.end(), stored.begin(), from_float);
  backend.copy_in(to, stored.data());
}

}  // namespace

std::vector<float> read_floats(Backend& backend, const Tensor& from) {
  switch (from.dtype) {
    case DType::f16:
      return read_as<std::uint16_t>(backend, from, f16_to_float);
    case DType::bf16:
      return read_as<std::uint16_t>(backend, from, bf16_to_float);
    case DType::f32:
      return read_as<float>(backend, from, [](float x) { return x; });
    case DType::f64:
      return read_as<double>(backend, from, [](double x) { return static_cast<float>(x); });
    default:
      fail(ExitCode::internal, "no floats in a tensor of {}", name_of(from.dtype));
  }
}

std::vector<float> read_channels(Backend& backend, const Tensor& from, int channels) {
  std::vector<float> values = read_floats(backend, from);
  const std::int64_t stored = from.shape[from.shape.rank() - 1];
  auto to = values.begin();
  for (auto at = values.begin(); at != values.end(); at += stored) to = std::copy_n(at, channels, to);
  values.erase(to, values.end());
  return values;
}

void write_floats(Backend& backend, const Tensor& to, const std::vector<float>& values) {
  DPLL_CHECK(static_cast<std::int64_t>(values.size()) == to.elements(), "{} values for {}", values.size(),
             to.shape.to_string());
  switch (to.dtype) {
    case DType::f16:
      return write_as<std::uint16_t>(backend, to, values, float_to_f16);
    case DType::bf16:
      return write_as<std::uint16_t>(backend, to, values, float_to_bf16);
    case DType::f32:
      backend.copy_in(to, values.data());
      return;
    case DType::f64:
      return write_as<double>(backend, to, values, [](float x) { return static_cast<double>(x); });
    default:
      fail(ExitCode::internal, "no floats into a tensor of {}", name_of(to.dtype));
  }
}

}  // namespace dpll
