// Kernels whose blocks each leave a partial result, and whose last block merges them: a launch less, and the
// merge reads what is still in the L2 cache. Which block is the last differs from run to run; the order in
// which it merges does not, so the result has the same bits.
#pragma once

#include "device.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {

// True in the block that is the last of `blocks` to call it. What the others have written before is then
// there to read. *counter is 0 before the launch and after it; no other kernel may use it meanwhile. Every
// thread of the block must call it.
__device__ inline bool is_last_block(unsigned* counter, unsigned blocks) {
  DPLL_SHARED(int, last, 1);
  __threadfence();  // what this thread has written is seen before the count below
  __syncthreads();
  if (threadIdx.x == 0) {
    const bool is_last = count_block(counter) == blocks - 1;
    if (is_last) *counter = 0;
    last[0] = is_last ? 1 : 0;
  }
  __syncthreads();
  if (last[0] == 0) return false;
  __threadfence();  // nothing that the others have written is read from an older copy
  return true;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
