// What the tuner needs to try out ways to compute something: inputs that are not zero, and comparisons of
// results. Not part of a training step.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dpll/core/tensor.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// values[i] = draw i of `seed`, uniform in [-scale, scale]; with quantum > 0 rounded to a multiple of it.
void fill_uniform(void* values, DType type, std::int64_t elements, std::uint64_t seed, float scale,
                  float quantum, Stream stream);

// How far `got` is from `want`. An element is beyond the bound unless |got - want| <= absolute + relative
// |want|; NaN is.
struct Difference {
  std::int64_t beyond = 0;  // how many are
  std::int64_t index = -1;  // the first of those, with its values
  float got = 0, want = 0;
};
inline constexpr int kMostDifferences = 256;

// Writes the differences of that many parts, kMostDifferences at most, for merge_differences(); returns how
// many. Bytes: both tensors once.
int compare(Difference* parts, const void* got, const void* want, DType type, std::int64_t elements,
            float relative, float absolute, Stream stream);
// On the host, of parts that were copied there.
Difference merge_differences(const Difference* parts, int count);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
