// Tensors of any floating-point type to and from floats of the host. Both wait for the backend: never in a
// step.
#pragma once

#include <cstdint>
#include <vector>

#include "dpll/backend.h"

namespace dpll {

// Rounded to float where the tensor is wider. Error(internal) unless it is of f16, bf16, f32 or f64.
std::vector<float> read_floats(Backend& backend, const Tensor& from);
// The first `channels` of the last dimension alone: those beyond are Backend::padded_channels()'s.
std::vector<float> read_channels(Backend& backend, const Tensor& from, int channels);
// Rounded to the tensor's type. As many values as the tensor has elements.
void write_floats(Backend& backend, const Tensor& to, const std::vector<float>& values);

// A struct in backend memory, as a tensor of bytes for copies.
template <typename T>
Tensor as_bytes(T* place) {
  return {place, DType::u8, {static_cast<std::int64_t>(sizeof(T))}};
}

}  // namespace dpll
