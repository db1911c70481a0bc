#include "elementwise.h"

#include "channel_rows.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256;
constexpr int kRowsPerThread = 16, kMaxRowBlocks = 256;

template <int kVec, typename T>
__device__ void add_some(T* to, const T* first_term, const T* second_term, int accumulate, std::int64_t at) {
  float sum[kVec], other[kVec];
  load(sum, first_term + at);
  if (second_term != nullptr) {
    load(other, second_term + at);
    for (int i = 0; i < kVec; ++i) sum[i] += other[i];
  }
  if (accumulate != 0) {
    load(other, to + at);
    for (int i = 0; i < kVec; ++i) sum[i] += other[i];
  }
  store(to + at, sum);
}

// kVec elements a thread; single ones at the end.
//
// Cost "add_gradients" of a value: 2 S bytes, 0 operations; S bytes and 1 operation more for each of the
// second term and to accumulate.
template <typename T, int kVec>
__global__ void add_kernel(T* to, const T* first_term, const T* second_term, int accumulate,
                           std::int64_t elements) {
  std::int64_t at = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kVec;
  if (at + kVec <= elements) {
    add_some<kVec>(to, first_term, second_term, accumulate, at);
    return;
  }
  for (; at < elements; ++at) add_some<1>(to, first_term, second_term, accumulate, at);
}

bool aligned(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0;  // null is
}

// Cost "column_sums" of a value: S bytes, 1 operation.
template <typename T, int kVec>
__global__ void column_partials(float* partial, const T* values, ViewRows shape, ChannelTiling tiling) {
  const ChannelThread<kVec> thread(tiling, shape);
  float sum[kVec] = {};
  for (std::int64_t row = thread.first; row < shape.rows; row += thread.step) {
    float value[kVec];
    load(value, values + row * shape.channels + thread.channel);
    for (int i = 0; i < kVec; ++i) sum[i] += value[i];
  }
  sum_over_row_lanes(sum, tiling, thread.row_lane);
  if (!thread.has_channel || thread.row_lane != 0) return;
  for (int i = 0; i < kVec; ++i) {
    partial[std::int64_t{blockIdx.x} * shape.channels + thread.channel + i] = sum[i];
  }
}

// Cost "column_sums merge" of a partial sum: 4 bytes, 1 operation; in float64.
__global__ void column_merge(float* sums, const float* partial, int channels, int row_blocks) {
  const int channel = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (channel >= channels) return;
  double sum = 0;
  for (int block = 0; block < row_blocks; ++block) {
    sum += static_cast<double>(partial[std::int64_t{block} * channels + channel]);
  }
  sums[channel] = static_cast<float>(sum);
}

}  // namespace

void add_gradients(void* to, const void* first, const void* second, bool accumulate, DType type,
                   std::int64_t elements, Stream stream) {
  for_type(type, [&](auto element) {
    using T = decltype(element);
    constexpr int kWide = 16 / static_cast<int>(sizeof(T));
    const bool wide = aligned(to) && aligned(first) && aligned(second);
    const auto kernel = wide ? add_kernel<T, kWide> : add_kernel<T, 1>;
    launch("add_gradients", kernel,
           LaunchShape{{blocks_for(elements, kThreads * (wide ? kWide : 1)), 1, 1}, kThreads, 0}, stream,
           static_cast<T*>(to), static_cast<const T*>(first), static_cast<const T*>(second),
           accumulate ? 1 : 0, elements);
  });
}

std::size_t column_sums_workspace(std::int64_t, int channels) {
  return static_cast<std::size_t>(kMaxRowBlocks) * static_cast<std::size_t>(channels) * sizeof(float);
}

void column_sums(float* sums, const void* values, DType type, std::int64_t rows, int channels,
                 void* workspace, Stream stream) {
  auto* const partial = static_cast<float*>(workspace);
  const ViewRows shape{1, rows, channels};
  for_type_and_vector(type, channels, [&](auto element, auto vec) {
    using T = decltype(element);
    const ChannelTiling tiling = channel_tiling(shape, vec, kRowsPerThread, kMaxRowBlocks);
    launch("column_sums", column_partials<T, vec>, tiling.launch(1), stream, partial,
           static_cast<const T*>(values), shape, tiling);
    launch("column_sums merge", column_merge,
           LaunchShape{{blocks_for(channels, kThreads), 1, 1}, kThreads, 0}, stream, sums,
           static_cast<const float*>(partial), channels, tiling.row_blocks);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
