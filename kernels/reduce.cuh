// Reductions over the threads of a block, in a fixed order; every thread gets the result. All threads of the
// block must call them, blocks have at most 1024 threads.
#pragma once

#include "device.cuh"
#include "objectives/sample.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

using objectives::larger;
using objectives::Top;

template <typename Combine>
__device__ inline double warp_reduce(double value, const Combine& combine) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    value = combine(value, __shfl_xor_sync(kFullMask, value, mask));
  }
  return value;
}

__device__ inline double block_sum(double value) {
  DPLL_SHARED(double, partial, kWarp);
  const int warps = static_cast<int>(blockDim.x) / kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  value = warp_reduce(value, [](double a, double b) { return a + b; });
  if (threadIdx.x % kWarp == 0) partial[warp] = value;
  __syncthreads();
  double sum = partial[0];
  for (int i = 1; i < warps; ++i) sum += partial[i];
  __syncthreads();  // before the next call writes
  return sum;
}

__device__ inline Top block_top(Top top) {
  DPLL_SHARED(double, values, kWarp);
  DPLL_SHARED(int, indices, kWarp);
  const int warps = static_cast<int>(blockDim.x) / kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const double value = __shfl_xor_sync(kFullMask, top.value, mask);
    const int index = __shfl_xor_sync(kFullMask, top.index, mask);
    top = larger(top, {value, index});
  }
  if (threadIdx.x % kWarp == 0) {
    values[warp] = top.value;
    indices[warp] = top.index;
  }
  __syncthreads();
  for (int i = 0; i < warps; ++i) top = larger(top, {values[i], indices[i]});
  __syncthreads();
  return top;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
