#include "backend/cuda/contest_tensors.h"

#include <cmath>

#include "comparison.h"
#include "core/half.h"
#include "dpll/core/philox.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

double unit_roundoff(DType type) {
  return type == DType::f16 ? 0x1p-11 : type == DType::bf16 ? 0x1p-8 : 0x1p-24;
}

Bound bound_of_sum(DType type, double length, double term, double of_factors) {
  return {4 * unit_roundoff(type), 4 * term * (2 * of_factors * std::sqrt(length) + 0x1p-23 * length)};
}

NormVectors::NormVectors(int channels, std::uint32_t seed) {
  PhiloxStream draw(seed, Purpose::split, 0, 0, 0);
  const auto unit = [&] { return static_cast<double>(draw.next_float()); };
  const auto quanta = [&] { return kQuantum * (static_cast<double>(draw.next_below(16)) - 8); };
  for (int c = 0; c < channels; ++c) {
    const double sign = draw.next_below(4) == 0 ? -1 : 1;
    mean.push_back(static_cast<float>(quanta() + kQuantum / 2));
    inverse_deviation.push_back(static_cast<float>(0.5 + unit()));
    gamma.push_back(static_cast<float>(sign * (0.5 + unit())));
    beta.push_back(gamma.back() * inverse_deviation.back() * static_cast<float>(quanta()));
  }
}

void* ContestTensors::memory(std::size_t bytes) {
  return contest_.memory.emplace_back(std::make_shared<ScratchMemory>(runtime_, bytes))->data();
}

void* ContestTensors::random(DType type, std::int64_t elements, double scale, double quantum,
                             std::function<void()>* again) {
  void* const data = memory(static_cast<std::size_t>(elements) * size_of(type));
  const auto draw = [=, seed = ++seed_, &runtime = runtime_] {
    fill_uniform(data, type, elements, seed, static_cast<float>(scale), static_cast<float>(quantum),
                 runtime.stream());
  };
  draw();
  if (again != nullptr) *again = draw;
  return data;
}

float* ContestTensors::vector(const std::vector<float>& values) {
  return static_cast<float*>(rounded_vector(values, DType::f32));
}

void* ContestTensors::rounded_vector(const std::vector<float>& values, DType type) {
  const std::size_t bytes = values.size() * size_of(type);
  void* const data = memory(bytes);
  if (type == DType::f32) {
    runtime_.copy_in(data, values.data(), bytes);
    return data;
  }
  std::vector<std::uint16_t> bits;
  bits.reserve(values.size());
  for (const float value : values) {
    bits.push_back(type == DType::f16 ? float_to_f16(value) : float_to_bf16(value));
  }
  runtime_.copy_in(data, bits.data(), bytes);
  return data;
}

void* ContestTensors::output(const std::string& name, DType type, std::int64_t elements, const Bound& bound) {
  void* const data = memory(static_cast<std::size_t>(elements) * size_of(type));
  contest_.outputs.push_back({name, data, type, elements, bound.relative, bound.absolute});
  return data;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
