// Reductions over the lanes of a warp and the threads of a block, in a fixed order; every thread gets the
// result. Blocks have at most 1024 threads.
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

__device__ inline double warp_sum(double value) {
  return warp_reduce(value, [](double a, double b) { return a + b; });
}

__device__ inline Top warp_top(Top top) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const double value = __shfl_xor_sync(kFullMask, top.value, mask);
    const int index = __shfl_xor_sync(kFullMask, top.index, mask);
    top = larger(top, {value, index});
  }
  return top;
}

// All threads of a block make the same calls; a block has one object. There is one barrier a call, because
// two buffers take turns: whoever writes a buffer again has passed the barrier of the call between, and all
// threads had read the buffer before they came there. A block of one warp needs no barrier.
class BlockReductions {
 public:
  __device__ double sum(double value) {
    value = warp_sum(value);
    const int warps = static_cast<int>(blockDim.x) / kWarp;
    if (warps == 1) return value;
    double* const partial = next_values();
    if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = value;
    __syncthreads();
    double sum = partial[0];
    for (int i = 1; i < warps; ++i) sum += partial[i];
    return sum;
  }

  __device__ Top largest(Top top) {
    top = warp_top(top);
    const int warps = static_cast<int>(blockDim.x) / kWarp;
    if (warps == 1) return top;
    DPLL_SHARED(int, both_indices, 2 * kWarp);
    double* const values = next_values();
    int* const indices = both_indices + turn_ * kWarp;
    if (threadIdx.x % kWarp == 0) {
      values[threadIdx.x / kWarp] = top.value;
      indices[threadIdx.x / kWarp] = top.index;
    }
    __syncthreads();
    for (int i = 0; i < warps; ++i) top = larger(top, {values[i], indices[i]});
    return top;
  }

 private:
  __device__ double* next_values() {
    DPLL_SHARED(double, both_values, 2 * kWarp);
    turn_ = 1 - turn_;
    return both_values + turn_ * kWarp;
  }

  int turn_ = 0;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
