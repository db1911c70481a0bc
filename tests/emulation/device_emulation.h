// What kernels/device.cuh takes from CUDA, for the emulator: the built-in variables, barriers, warp
// operations, atomics, vector types and 16-bit numbers that our kernels use. Included by device.cuh only.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "core/half.h"
#include "emulation/emulator.h"
#include "emulation/stream.h"
#include "namespace.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define DPLL_UNROLL
#define DPLL_UNROLL_BY(times)

#define threadIdx (::dpll::emulation::place().thread)
#define blockIdx (::dpll::emulation::place().block)
#define blockDim (::dpll::emulation::place().block_size)
#define gridDim (::dpll::emulation::place().blocks)

#define DPLL_SHARED(Type, name, count)   \
  Type* const name = static_cast<Type*>( \
      ::dpll::emulation::shared_array(sizeof(Type) * (count), std::source_location::current()))
#define DPLL_DYNAMIC_SHARED(Type, name) \
  Type* const name = static_cast<Type*>(::dpll::emulation::dynamic_shared())

namespace dpll::DPLL_CUDA_NAMESPACE {

using dim3 = ::dpll::emulation::Index;
using std::source_location;

struct Half {
  std::uint16_t bits;
};
struct Bfloat {
  std::uint16_t bits;
};
inline float to_float(Half x) {
  return f16_to_float(x.bits);
}
inline float to_float(Bfloat x) {
  return bf16_to_float(x.bits);
}
template <typename T>
T from_float(float x);
template <>
inline Half from_float<Half>(float x) {
  return {float_to_f16(x)};
}
template <>
inline Bfloat from_float<Bfloat>(float x) {
  return {float_to_bf16(x)};
}

inline void __syncthreads(source_location where = source_location::current()) {
  emulation::block_barrier(where);
}
inline void __syncwarp(unsigned = 0xFFFFFFFFu, source_location where = source_location::current()) {
  emulation::warp_barrier(where);
}

inline void wait_for_previous_kernel() {
  emulation::wait_for_previous_kernel();
}

// One thread runs at a time on one memory, so that a missing fence changes nothing here: count_block() asks
// for them instead.
inline void __threadfence() {
  emulation::fence();
}

inline int lane_index() {
  return static_cast<int>(emulation::place().thread.x % 32);
}
template <typename T>
T exchanged(T value, int lane, const source_location& where) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = emulation::exchange(bits, lane, where);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask, source_location where = source_location::current()) {
  return exchanged(value, lane_index() ^ mask, where);
}
template <typename T>
T __shfl_sync(unsigned, T value, int lane, source_location where = source_location::current()) {
  return exchanged(value, lane, where);
}

// One thread runs at a time, so plain operations are atomic. Integers only: a sum of floats depends on its
// order.
template <typename T>
T atomicAdd(T* at, T value) {
  static_assert(std::is_integral_v<T>, "floating-point atomics are not deterministic");
  const T before = *at;
  *at = static_cast<T>(before + value);
  return before;
}
inline unsigned count_block(unsigned* counter, source_location where = source_location::current()) {
  emulation::require_fences(where);
  return atomicAdd(counter, 1u);
}
template <typename T>
T atomicMin(T* at, T value) {
  const T before = *at;
  *at = value < before ? value : before;
  return before;
}
template <typename T>
T atomicMax(T* at, T value) {
  const T before = *at;
  *at = value > before ? value : before;
  return before;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
