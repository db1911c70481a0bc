#include "comparison.h"

#include <algorithm>

#include "dpll/core/philox.h"
#include "launch.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256, kLeastPerThread = 8;

// Cost "fill_uniform" of a value: S bytes, 5 operations; a Philox block for four values.
template <typename T>
__global__ void fill_kernel(T* values, std::int64_t elements, std::uint64_t seed, float scale,
                            float quantum) {
  wait_for_previous_kernel();
  const std::int64_t block = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (4 * block >= elements) return;
  const Philox4 draws =
      philox4x32(seed, static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), 0, 0);
  for (int i = 0; i < 4 && 4 * block + i < elements; ++i) {
    float value = (static_cast<float>(draws.v[i]) * 0x1p-31F - 1) * scale;
    if (quantum > 0) value = rintf(value / quantum) * quantum;
    values[4 * block + i] = from_float<T>(value);
  }
}

// Threads take every so many elements; a block's part is merged by its first thread.
//
// Cost "compare" of a pair of values: 2 S bytes, 6 operations.
template <typename T>
__global__ void compare_kernel(Difference* parts, const T* got, const T* want, std::int64_t elements,
                               float relative, float absolute) {
  wait_for_previous_kernel();
  DPLL_SHARED(std::int64_t, beyond, kThreads);
  DPLL_SHARED(std::int64_t, first, kThreads);
  std::int64_t own = 0, index = -1;
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < elements; i += step) {
    const float a = to_float(got[i]), b = to_float(want[i]);
    if (fabsf(a - b) <= absolute + relative * fabsf(b)) continue;
    ++own;
    if (index < 0) index = i;
  }
  beyond[threadIdx.x] = own;
  first[threadIdx.x] = index;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 1; i < kThreads; ++i) {
    own += beyond[i];
    if (first[i] >= 0 && (index < 0 || first[i] < index)) index = first[i];
  }
  parts[blockIdx.x] = {own, index, index < 0 ? 0.0F : to_float(got[index]),
                       index < 0 ? 0.0F : to_float(want[index])};
}

}  // namespace

void fill_uniform(void* values, DType type, std::int64_t elements, std::uint64_t seed, float scale,
                  float quantum, Stream stream) {
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("fill_uniform", fill_kernel<T>,
           LaunchShape{{blocks_for(elements, 4 * kThreads), 1, 1}, kThreads, 0}, stream,
           static_cast<T*>(values), elements, seed, scale, quantum);
  });
}

int compare(Difference* parts, const void* got, const void* want, DType type, std::int64_t elements,
            float relative, float absolute, Stream stream) {
  const auto blocks = static_cast<int>(
      std::clamp<std::int64_t>(elements / (kThreads * kLeastPerThread), 1, kMostDifferences));
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("compare", compare_kernel<T>, LaunchShape{{static_cast<unsigned>(blocks), 1, 1}, kThreads, 0},
           stream, parts, static_cast<const T*>(got), static_cast<const T*>(want), elements, relative,
           absolute);
  });
  return blocks;
}

Difference merge_differences(const Difference* parts, int count) {
  Difference all;
  for (int i = 0; i < count; ++i) {
    const std::int64_t beyond = all.beyond + parts[i].beyond;
    if (parts[i].index >= 0 && (all.index < 0 || parts[i].index < all.index)) all = parts[i];
    all.beyond = beyond;
  }
  return all;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
