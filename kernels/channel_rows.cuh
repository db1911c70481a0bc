// How kernels walk over activations: a tensor is [views * rows, channels], row-major, `rows` of each view in
// turn (rows = images * height * width). Every thread keeps to the same few channels, so that per-channel
// numbers stay in registers, and neighbouring threads read neighbouring memory:
//
//   thread   kVec neighbouring channels (16 bytes where the channel count allows it), every step-th row
//   block    `lanes` threads side by side along a row, `rows_at_once` rows below each other
//   grid     x: blocks that share the rows of a view;  y: view;  z: blocks that share the channels
#pragma once

#include <algorithm>
#include <type_traits>

#include "launch.cuh"
#include "view_rows.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

inline constexpr int kTileThreads = 256;

struct ChannelTiling {
  int lanes = 1, rows_at_once = 1;
  int row_blocks = 1, channel_blocks = 1;

  int threads() const { return (lanes * rows_at_once + kWarp - 1) / kWarp * kWarp; }
  LaunchShape launch(int views) const {
    return {{static_cast<unsigned>(row_blocks), static_cast<unsigned>(views),
             static_cast<unsigned>(channel_blocks)},
            threads(),
            0};
  }
};

// `rows_per_thread`: about how many rows one thread should work on; the blocks of a view are at most
// max_row_blocks. Neither depends on the GPU, so sums come out the same on all of them.
inline ChannelTiling channel_tiling(const ViewRows& shape, int vec, int rows_per_thread, int max_row_blocks) {
  ChannelTiling tiling;
  const int vectors = (shape.channels + vec - 1) / vec;
  tiling.lanes = std::min(vectors, kTileThreads);
  tiling.channel_blocks = (vectors + tiling.lanes - 1) / tiling.lanes;
  tiling.rows_at_once = static_cast<int>(
      std::min<std::int64_t>(kTileThreads / tiling.lanes, std::max<std::int64_t>(shape.rows, 1)));
  const std::int64_t per_block = std::int64_t{tiling.rows_at_once} * rows_per_thread;
  tiling.row_blocks =
      static_cast<int>(std::clamp<std::int64_t>((shape.rows + per_block - 1) / per_block, 1, max_row_blocks));
  return tiling;
}

// Rows of a view that block `block` of `tiling` works on.
__host__ __device__ inline std::int64_t rows_of_block(const ChannelTiling& tiling, std::int64_t rows,
                                                      int block) {
  const std::int64_t tiles = (rows + tiling.rows_at_once - 1) / tiling.rows_at_once;
  const std::int64_t own = block < tiles ? (tiles - 1 - block) / tiling.row_blocks + 1 : 0;
  const bool has_last = own > 0 && (tiles - 1) % tiling.row_blocks == block;
  return own * tiling.rows_at_once - (has_last ? tiles * tiling.rows_at_once - rows : 0);
}

// The running thread's place.
template <int kVec>
struct ChannelThread {
  int view, channel;  // first of kVec
  int lane, row_lane;
  bool has_channel;          // else it only takes part in barriers
  std::int64_t first, step;  // rows first, first + step, ... of its view

  __device__ ChannelThread(const ChannelTiling& tiling, const ViewRows& shape) {
    const int thread = static_cast<int>(threadIdx.x);
    lane = thread % tiling.lanes;
    row_lane = thread / tiling.lanes;
    view = static_cast<int>(blockIdx.y);
    channel = (static_cast<int>(blockIdx.z) * tiling.lanes + lane) * kVec;
    has_channel = row_lane < tiling.rows_at_once && channel < shape.channels;
    first = std::int64_t{blockIdx.x} * tiling.rows_at_once + row_lane;
    step = std::int64_t{tiling.row_blocks} * tiling.rows_at_once;
    if (!has_channel) first = shape.rows;
  }
};

// ---- vectors of elements

template <typename T, int N>
struct alignas(sizeof(T) * N) Vector {
  T v[N];
};

template <int N, typename T>
__device__ inline void load(float (&to)[N], const T* from) {
  const Vector<T, N> vector = *reinterpret_cast<const Vector<T, N>*>(from);
  for (int i = 0; i < N; ++i) to[i] = to_float(vector.v[i]);
}

template <int N, typename T>
__device__ inline void store(T* to, const float (&from)[N]) {
  Vector<T, N> vector;
  for (int i = 0; i < N; ++i) vector.v[i] = from_float<T>(from[i]);
  *reinterpret_cast<Vector<T, N>*>(to) = vector;
}

// `from` as it will be read back after store().
template <typename T, int N>
__device__ inline void round_to(float (&values)[N]) {
  for (int i = 0; i < N; ++i) values[i] = to_float(from_float<T>(values[i]));
}

// Calls body(value of type T, integral_constant<int, kVec>) for the tensor's type and channel count.
template <typename Body>
void for_type_and_vector(DType type, int channels, const Body& body) {
  for_type(type, [&](auto element) {
    using T = decltype(element);
    constexpr int kWide = 16 / static_cast<int>(sizeof(T));
    if (channels % kWide == 0) {
      body(element, std::integral_constant<int, kWide>{});
    } else {
      body(element, std::integral_constant<int, 1>{});
    }
  });
}

// ---- sums over the row lanes of a block

// Adds `values` over the threads with the same channels, in a fixed order; the sum is row lane 0's. Every
// thread of the block must call it.
template <int kVec>
__device__ inline void sum_over_row_lanes(float (&values)[kVec], const ChannelTiling& tiling, int row_lane) {
  DPLL_SHARED(float, shared, kTileThreads* kVec);
  float* const own = shared + threadIdx.x * kVec;
  __syncthreads();  // of a sum before
  for (int i = 0; i < kVec; ++i) own[i] = values[i];
  __syncthreads();
  int span = 1;
  while (span < tiling.rows_at_once) span *= 2;
  for (int half = span / 2; half > 0; half /= 2) {
    if (row_lane < half && row_lane + half < tiling.rows_at_once) {
      const float* const other = own + half * tiling.lanes * kVec;
      for (int i = 0; i < kVec; ++i) own[i] += other[i];
    }
    __syncthreads();
  }
  for (int i = 0; i < kVec; ++i) values[i] = own[i];
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
