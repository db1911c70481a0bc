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
  // `bytes`: see LaunchShape.
  LaunchShape launch(int views, double bytes, std::size_t shared_bytes = 0) const {
    return {{static_cast<unsigned>(row_blocks), static_cast<unsigned>(views),
             static_cast<unsigned>(channel_blocks)},
            threads(),
            shared_bytes,
            bytes};
  }
};

// A block takes at most so many threads side by side: 256 neighbouring bytes where a thread has a vector, 128
// else. More would not be read faster, and leave fewer rows to a block: a block that merges what others have
// left would have fewer threads for each channel.
inline constexpr int kMostLanes = 16, kMostSingleLanes = 64;
// About so many blocks are wanted: three for each multiprocessor of the largest GPUs, so that all have work
// where an activation is small. Beyond them a thread gets more rows, which costs fewer parameters and partial
// results for each row, up to kMostRowsPerThread and down to kFewestRowsPerThread.
inline constexpr int kWantedBlocks = 384, kMostRowsPerThread = 16, kFewestRowsPerThread = 2;
inline constexpr int kMostRowBlocks = 256;  // of a view: bounds the memory for partial results

// Does not depend on the GPU, so sums come out the same on all of them.
inline ChannelTiling channel_tiling(const ViewRows& shape, int vec, int most_row_blocks = kMostRowBlocks) {
  ChannelTiling tiling;
  const int vectors = (shape.channels + vec - 1) / vec, most = vec > 1 ? kMostLanes : kMostSingleLanes;
  tiling.channel_blocks = (vectors + most - 1) / most;
  tiling.lanes = (vectors + tiling.channel_blocks - 1) / tiling.channel_blocks;
  tiling.rows_at_once = static_cast<int>(
      std::min<std::int64_t>(kTileThreads / tiling.lanes, std::max<std::int64_t>(shape.rows, 1)));
  const std::int64_t tiles = (shape.rows + tiling.rows_at_once - 1) / tiling.rows_at_once,
                     all = tiles * shape.views * tiling.channel_blocks,
                     rows_per_thread = std::clamp<std::int64_t>(all / kWantedBlocks, kFewestRowsPerThread,
                                                                kMostRowsPerThread);
  tiling.row_blocks = static_cast<int>(
      std::clamp<std::int64_t>((tiles + rows_per_thread - 1) / rows_per_thread, 1, most_row_blocks));
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

  // `row_block`: which of the blocks that share the rows of the view this one is.
  __device__ ChannelThread(const ChannelTiling& tiling, const ViewRows& shape, unsigned row_block) {
    const int thread = static_cast<int>(threadIdx.x);
    lane = thread % tiling.lanes;
    row_lane = thread / tiling.lanes;
    view = static_cast<int>(blockIdx.y);
    channel = (static_cast<int>(blockIdx.z) * tiling.lanes + lane) * kVec;
    has_channel = row_lane < tiling.rows_at_once && channel < shape.channels;
    first = std::int64_t{row_block} * tiling.rows_at_once + row_lane;
    step = std::int64_t{tiling.row_blocks} * tiling.rows_at_once;
    if (!has_channel) first = shape.rows;
  }
  __device__ ChannelThread(const ChannelTiling& tiling, const ViewRows& shape)
      : ChannelThread(tiling, shape, blockIdx.x) {}
};

// Calls fetch(i, row) for kAtOnce rows and then use(i, row) for them, and so on to the last row: what fetch()
// loads is under way at the same time, which is what keeps the memory busy.
template <int kAtOnce, int kVec, typename Fetch, typename Use>
__device__ inline void for_rows(const ChannelThread<kVec>& thread, std::int64_t rows, const Fetch& fetch,
                                const Use& use) {
  for (std::int64_t first = thread.first; first < rows; first += kAtOnce * thread.step) {
    DPLL_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      const std::int64_t row = first + i * thread.step;
      if (row < rows) fetch(i, row);
    }
    DPLL_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      const std::int64_t row = first + i * thread.step;
      if (row < rows) use(i, row);
    }
  }
}

// ---- vectors of elements

template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Vector {
  T v[N];
};

template <int N, typename T>
__device__ inline Vector<T, N> load_vector(const T* from) {
  return *reinterpret_cast<const Vector<T, N>*>(from);
}

template <int N, typename T>
__device__ inline void unpack(float (&to)[N], const Vector<T, N>& vector) {
  for (int i = 0; i < N; ++i) to[i] = to_float(vector.v[i]);
}

template <int N, typename T>
__device__ inline void load(float (&to)[N], const T* from) {
  unpack(to, load_vector<N>(from));
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
// thread of the block must call it. `shared`: kTileThreads * kVec of the block, which the call may overwrite;
// a thread's values lie kTileThreads apart, so that the threads of a warp use different banks.
template <typename Real, int kVec>
__device__ inline void sum_over_row_lanes(Real (&values)[kVec], const ChannelTiling& tiling, int row_lane,
                                          Real* shared) {
  Real* const own = shared + threadIdx.x;
  __syncthreads();  // of what `shared` held before
  for (int i = 0; i < kVec; ++i) own[i * kTileThreads] = values[i];
  __syncthreads();
  int span = 1;
  while (span < tiling.rows_at_once) span *= 2;
  for (int half = span / 2; half > 0; half /= 2) {
    if (row_lane < half && row_lane + half < tiling.rows_at_once) {
      const Real* const other = own + half * tiling.lanes;
      for (int i = 0; i < kVec; ++i) own[i * kTileThreads] += other[i * kTileThreads];
    }
    __syncthreads();
  }
  for (int i = 0; i < kVec; ++i) values[i] = own[i * kTileThreads];
}

// The parts of a sum that `parts` blocks have left, `stride` values apart and beginning at `partial`, of a
// thread's channels: added over all blocks, in double and a fixed order; the sum is row lane 0's.
template <int kVec>
__device__ inline void sum_over_blocks(double (&sums)[kVec], const float* partial, std::int64_t stride,
                                       int parts, bool has_channel, const ChannelTiling& tiling, int row_lane,
                                       double* shared) {
  for (int i = 0; i < kVec; ++i) sums[i] = 0;
  if (has_channel) {
    DPLL_UNROLL_BY(4)
    for (int part = row_lane; part < parts; part += tiling.rows_at_once) {
      const Vector<float, kVec> values = load_vector<kVec>(partial + part * stride);
      for (int i = 0; i < kVec; ++i) sums[i] += static_cast<double>(values.v[i]);
    }
  }
  sum_over_row_lanes(sums, tiling, row_lane, shared);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
