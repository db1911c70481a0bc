#include "backend/cuda/contest_tensors.h"

#include <cmath>
#include <memory>
#include <utility>

#include "comparison.h"
#include "core/half.h"
#include "dpll/core/philox.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

double unit_roundoff(DType type) {
  return type == DType::f16 ? 0x1p-11 : type == DType::bf16 ? 0x1p-8 : 0x1p-24;
}

Bound bound_of_sum(DType type, double length, double term, double of_factors) {
  const double cut_off = type != DType::f32 || of_factors > 0 ? 0x1p-23 * length / 16 * std::sqrt(length) : 0;
  return {4 * unit_roundoff(type),
          4 * term * (2 * of_factors * std::sqrt(length) + 0x1p-23 * length) + term * cut_off};
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

void ContestTensors::known(std::function<double(std::int64_t)> element) {
  const ContestOutput output = contest_.outputs.back();
  const auto elements = std::make_shared<KnownElements>();
  contest_.measures.push_back([=, this_runtime = &runtime_] {
    if (elements->indices.empty()) {
      *elements = {output.name, spread_indices(output.elements), {}, output.relative, output.absolute};
      for (const std::int64_t index : elements->indices) elements->values.push_back(element(index));
    }
    return complaint_about(*this_runtime, *elements, output.data, output.type);
  });
}

void ContestTensors::known_sums(const void* y, DType type, std::int64_t rows, int channels,
                                std::function<double(std::int64_t, double)> factor) {
  const ContestOutput sum = contest_.outputs[contest_.outputs.size() - 2], product = contest_.outputs.back();
  contest_.measures.push_back([=, this_runtime = &runtime_]() -> std::string {
    const HostValues stored(*this_runtime, y, type, rows * channels);
    for (const std::int64_t channel : spread_indices(channels, 2)) {
      double of_sum = 0, of_product = 0;
      for (std::int64_t row = 0; row < rows; ++row) {
        const double value = stored[row * channels + channel];
        of_sum += value;
        of_product += value * factor(row * channels + channel, value);
      }
      for (const auto& [output, value] : {std::pair{&sum, of_sum}, std::pair{&product, of_product}}) {
        const KnownElements known = {output->name, {channel}, {value}, output->relative, output->absolute};
        std::string wrong = complaint_about(*this_runtime, known, output->data, output->type);
        if (!wrong.empty()) return wrong;
      }
    }
    return "";
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
