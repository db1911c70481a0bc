// What kernels are written with: CUDA's own names (threadIdx, __syncthreads, __shfl_xor_sync, atomicAdd),
// plus the few that need a spelling of their own so that the same source also runs in the emulator of
// tests/emulation:
//   DPLL_SHARED(Type, name, count)      a static shared array
//   DPLL_DYNAMIC_SHARED(Type, name)     the launch's dynamic shared memory, 16-byte aligned
//   wait_for_previous_kernel()          the first thing a kernel does, see launch_rules.h
//   launch(...)                         instead of <<<>>>, see launch.cuh
//   count_block(counter)                atomicAdd(counter, 1u) behind a __threadfence() of every thread
//   DPLL_UNROLL, DPLL_UNROLL_BY(n)      before a loop that must become straight code, or n passes of it
//   Half, Bfloat                        16-bit storage types, arithmetic is always in float
#pragma once

#include <cstdint>

#include "dpll/core/tensor.h"
#include "namespace.h"

#if defined(DPLL_EMULATED)
#include "emulation/device_emulation.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define DPLL_UNROLL _Pragma("unroll")
#define DPLL_UNROLL_BY(times) DPLL_UNROLL_PRAGMA(unroll times)
#define DPLL_UNROLL_PRAGMA(text) _Pragma(#text)
#define DPLL_SHARED(Type, name, count) __shared__ Type name[count]
#define DPLL_DYNAMIC_SHARED(Type, name)                                \
  extern __shared__ __align__(16) unsigned char dpll_dynamic_shared[]; \
  Type* const name = reinterpret_cast<Type*>(dpll_dynamic_shared)

namespace dpll::DPLL_CUDA_NAMESPACE {

using Half = __half;
using Bfloat = __nv_bfloat16;

__device__ inline void wait_for_previous_kernel() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}
__device__ inline unsigned count_block(unsigned* counter) {
  return atomicAdd(counter, 1u);
}
__device__ inline float to_float(Half x) {
  return __half2float(x);
}
__device__ inline float to_float(Bfloat x) {
  return __bfloat162float(x);
}
template <typename T>
__device__ inline T from_float(float x);
template <>
__device__ inline Half from_float<Half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline Bfloat from_float<Bfloat>(float x) {
  return __float2bfloat16_rn(x);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
#endif

namespace dpll::DPLL_CUDA_NAMESPACE {

inline constexpr int kWarp = 32;
inline constexpr unsigned kFullMask = 0xFFFFFFFFu;

__device__ inline float to_float(float x) {
  return x;
}
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}

// fmt's compile-time checks are beyond nvcc's host pass, so kernels report through src/backend/cuda.
[[noreturn]] void throw_type_error(DType type);

// Calls body with a value of the element type that `type` names: f32, f16 or bf16.
template <typename Body>
void for_type(DType type, const Body& body) {
  switch (type) {
    case DType::f32:
      return body(float{});
    case DType::f16:
      return body(Half{});
    case DType::bf16:
      return body(Bfloat{});
    default:
      throw_type_error(type);
  }
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
