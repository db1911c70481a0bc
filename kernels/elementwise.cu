#include "elementwise.h"

#include "channel_rows.cuh"
#include "last_block.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256;

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
  wait_for_previous_kernel();
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

// The last block of these channels adds what the others have left.
// Cost "column_sums" of a value: S bytes, 1 operation.
template <typename T, int kVec>
__global__ void column_sums_kernel(float* sums, float* partial, const T* values, ViewRows shape,
                                   ChannelTiling tiling, unsigned* counters) {
  wait_for_previous_kernel();
  DPLL_SHARED(double, shared, kTileThreads* kVec);
  const ChannelThread<kVec> thread(tiling, shape);
  float sum[kVec] = {};
  constexpr int kAtOnce = 4;
  Vector<T, kVec> row_values[kAtOnce] = {};
  for_rows<kAtOnce>(
      thread, shape.rows,
      [&](int i, std::int64_t row) {
        row_values[i] = load_vector<kVec>(values + row * shape.channels + thread.channel);
      },
      [&](int i, std::int64_t) {
        float value[kVec];
        unpack(value, row_values[i]);
        for (int c = 0; c < kVec; ++c) sum[c] += value[c];
      });
  sum_over_row_lanes(sum, tiling, thread.row_lane, reinterpret_cast<float*>(shared));
  const bool first_lane = thread.has_channel && thread.row_lane == 0;
  if (first_lane) {
    for (int i = 0; i < kVec; ++i) {
      partial[std::int64_t{blockIdx.x} * shape.channels + thread.channel + i] = sum[i];
    }
  }
  if (!is_last_block(counters + blockIdx.z, gridDim.x)) return;
  double all[kVec];
  sum_over_blocks(all, partial + thread.channel, shape.channels, tiling.row_blocks, thread.has_channel,
                  tiling, thread.row_lane, shared);
  if (!first_lane) return;
  for (int i = 0; i < kVec; ++i) sums[thread.channel + i] = static_cast<float>(all[i]);
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
           LaunchShape{{blocks_for(elements, kThreads * (wide ? kWide : 1)), 1, 1},
                       kThreads,
                       0,
                       (2.0 + (second != nullptr ? 1 : 0) + (accumulate ? 1 : 0)) *
                           static_cast<double>(elements) * sizeof(T)},
           stream, static_cast<T*>(to), static_cast<const T*>(first), static_cast<const T*>(second),
           accumulate ? 1 : 0, elements);
  });
}

std::size_t column_sums_workspace(std::int64_t, int channels) {
  return static_cast<std::size_t>(kMostRowBlocks) * static_cast<std::size_t>(channels) * sizeof(float);
}

void column_sums(float* sums, const void* values, DType type, std::int64_t rows, int channels,
                 void* workspace, unsigned* counters, Stream stream) {
  auto* const partial = static_cast<float*>(workspace);
  const ViewRows shape{1, rows, channels};
  for_type_and_vector(type, channels, [&](auto element, auto vec) {
    using T = decltype(element);
    const ChannelTiling tiling = channel_tiling(shape, vec);
    const double bytes = static_cast<double>(rows) * channels * sizeof(T);
    launch("column_sums", column_sums_kernel<T, vec>, tiling.launch(1, bytes), stream, sums, partial,
           static_cast<const T*>(values), shape, tiling, counters);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
