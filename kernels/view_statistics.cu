#include "view_statistics.h"

#include "channel_rows.cuh"
#include "last_block.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

// n values with mean `mean`, whose squared differences from it sum to `m2`.
struct Moments {
  float n = 0, mean = 0, m2 = 0;
};

struct Task {
  ViewRows shape;
  ChannelTiling tiling;
  void* y;
  const float* bias;
  const void* residual;
  float* stats;        // [V, 2, C] or null
  float* partial;      // [V, row_blocks, 2, C]: mean and m2
  unsigned* counters;  // [V, channel_blocks]
};

// Merges the moments of the threads with the same channels; row lane 0 has the result. shared:
// 2 * kTileThreads * kVec.
template <int kVec>
__device__ void merge_row_lanes(Moments (&moments)[kVec], const ChannelTiling& tiling, int row_lane,
                                float* shared) {
  DPLL_SHARED(float, counts, kTileThreads);
  const auto own = static_cast<int>(threadIdx.x);
  float* const means = shared;
  float* const m2s = shared + kTileThreads * kVec;
  counts[own] = moments[0].n;
  for (int i = 0; i < kVec; ++i) {
    means[i * kTileThreads + own] = moments[i].mean;
    m2s[i * kTileThreads + own] = moments[i].m2;
  }
  __syncthreads();
  int span = 1;
  while (span < tiling.rows_at_once) span *= 2;
  for (int half = span / 2; half > 0; half /= 2) {
    if (row_lane < half && row_lane + half < tiling.rows_at_once) {
      const int other = own + half * tiling.lanes;
      const float n = counts[own], other_n = counts[other], all = n + other_n;
      // The other's share of the values; a thread without rows has no mean.
      const float share = all > 0 ? other_n / all : 0.0F;
      for (int i = 0; i < kVec; ++i) {
        const int at = i * kTileThreads + own, from = i * kTileThreads + other;
        const float delta = n > 0 && other_n > 0 ? means[from] - means[at] : 0.0F;
        means[at] = n > 0 ? means[at] + delta * share : means[from];
        m2s[at] = m2s[at] + m2s[from] + delta * delta * (n * share);
      }
      counts[own] = all;
    }
    __syncthreads();
  }
  for (int i = 0; i < kVec; ++i) {
    moments[i] = {counts[own], means[i * kTileThreads + own], m2s[i * kTileThreads + own]};
  }
}

// The moments of a view from those of its row blocks: with d a block's mean less that of the first block,
//   mean = mean of the first + sum(n d) / N,  m2 = sum(m2) + sum(n d^2) - sum(n d)^2 / N
// in double, so that the differences do not cancel.
// A few channels at a time: sums in double take twice the registers.
template <int kVec>
__device__ void merge_row_blocks(const Task& task, const ChannelThread<kVec>& thread, double* shared) {
  constexpr int kPart = kVec < 4 ? kVec : 4;
  const int channels = task.shape.channels;
  const double inverse_n = 1 / static_cast<double>(task.shape.rows);
  const std::int64_t of_view = std::int64_t{thread.view} * task.tiling.row_blocks * 2 * channels;
  for (int channel = thread.channel; channel < thread.channel + kVec; channel += kPart) {
    const float* const partials = task.partial + of_view + channel;
    double first_moment[kPart] = {}, second_moment[kPart] = {};
    Vector<float, kPart> shift{};
    if (thread.has_channel) {
      shift = load_vector<kPart>(partials);
      DPLL_UNROLL_BY(2)
      for (int block = thread.row_lane; block < task.tiling.row_blocks; block += task.tiling.rows_at_once) {
        const float* const partial = partials + std::int64_t{block} * 2 * channels;
        const Vector<float, kPart> mean = load_vector<kPart>(partial),
                                   m2 = load_vector<kPart>(partial + channels);
        const auto n = static_cast<double>(rows_of_block(task.tiling, task.shape.rows, block));
        for (int i = 0; i < kPart; ++i) {
          const double d = static_cast<double>(mean.v[i]) - static_cast<double>(shift.v[i]);
          first_moment[i] += n * d;
          second_moment[i] += static_cast<double>(m2.v[i]) + n * d * d;
        }
      }
    }
    sum_over_row_lanes(first_moment, task.tiling, thread.row_lane, shared);
    sum_over_row_lanes(second_moment, task.tiling, thread.row_lane, shared);
    if (!thread.has_channel || thread.row_lane != 0) continue;
    float* const stats = task.stats + std::int64_t{thread.view} * 2 * channels + channel;
    for (int i = 0; i < kPart; ++i) {
      const double mean = first_moment[i] * inverse_n;
      stats[i] = static_cast<float>(static_cast<double>(shift.v[i]) + mean);
      const double variance = second_moment[i] * inverse_n - mean * mean;
      // Rounding may leave a constant channel slightly below zero; NaN stays NaN.
      stats[channels + i] = variance < 0 ? 0.0F : static_cast<float>(variance);
    }
  }
}

// The last block of a view's channels merges what the others have left.
// Cost "view_statistics" of a value of y: S bytes, 4 operations; S bytes more where y changes, S for a
// residual.
template <typename T, int kVec, bool kChanges>
__global__ void __launch_bounds__(kTileThreads, 2) add_and_measure(Task task) {
  wait_for_previous_kernel();
  DPLL_SHARED(double, shared, kTileThreads* kVec);
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  const int channels = task.shape.channels;
  const std::int64_t offset = std::int64_t{thread.view} * task.shape.rows * channels + thread.channel;
  T* const y = static_cast<T*>(task.y) + offset;
  const T* const residual =
      task.residual == nullptr ? nullptr : static_cast<const T*>(task.residual) + offset;

  Vector<float, kVec> bias{};
  if (kChanges && task.bias != nullptr && thread.has_channel)
    bias = load_vector<kVec>(task.bias + thread.channel);
  float shift[kVec] = {}, sum[kVec] = {}, squares[kVec] = {};
  float count = 0;
  constexpr int kAtOnce = kChanges ? 2 : 4;
  Vector<T, kVec> of_y[kAtOnce] = {}, of_residual[kAtOnce] = {};
  for_rows<kAtOnce>(
      thread, task.shape.rows,
      [&](int i, std::int64_t row) {
        of_y[i] = load_vector<kVec>(y + row * channels);
        if (kChanges && residual != nullptr) of_residual[i] = load_vector<kVec>(residual + row * channels);
      },
      [&](int i, std::int64_t row) {
        float value[kVec];
        unpack(value, of_y[i]);
        if constexpr (kChanges) {
          float other[kVec] = {};
          if (residual != nullptr) unpack(other, of_residual[i]);
          for (int c = 0; c < kVec; ++c) value[c] += bias.v[c] + other[c];
          store(y + row * channels, value);
          round_to<T>(value);
        }
        if (count == 0) {
          for (int c = 0; c < kVec; ++c) shift[c] = value[c];
        }
        for (int c = 0; c < kVec; ++c) {
          const float difference = value[c] - shift[c];
          sum[c] += difference;
          squares[c] = fmaf(difference, difference, squares[c]);
        }
        count += 1;
      });
  if (task.stats == nullptr) return;

  Moments moments[kVec];
  const float inverse_count = count > 0 ? 1 / count : 0.0F;
  for (int i = 0; i < kVec; ++i) {
    const float mean = sum[i] * inverse_count;
    moments[i] = {count, shift[i] + mean, fmaf(-mean, sum[i], squares[i])};
  }
  merge_row_lanes(moments, task.tiling, thread.row_lane, reinterpret_cast<float*>(shared));
  if (thread.has_channel && thread.row_lane == 0) {
    float* const partial = task.partial +
                           (std::int64_t{thread.view} * task.tiling.row_blocks + blockIdx.x) * 2 * channels +
                           thread.channel;
    for (int i = 0; i < kVec; ++i) {
      partial[i] = moments[i].mean;
      partial[channels + i] = moments[i].m2;
    }
  }
  if (is_last_block(task.counters + blockIdx.y * gridDim.z + blockIdx.z, gridDim.x)) {
    merge_row_blocks(task, thread, shared);
  }
}

double bytes_of(const ViewStatisticsCall& call) {
  const double tensor = static_cast<double>(call.shape.views * call.shape.rows) * call.shape.channels *
                        static_cast<double>(size_of(call.type));
  const int residual = call.residual != nullptr ? 1 : 0,
            written = call.residual != nullptr || call.bias != nullptr ? 1 : 0;
  return tensor * (1 + residual + written);
}

}  // namespace

std::size_t view_statistics_workspace(const ViewRows& shape) {
  return static_cast<std::size_t>(kMostRowBlocks) * static_cast<std::size_t>(shape.views) * 2 *
         static_cast<std::size_t>(shape.channels) * sizeof(float);
}

void view_statistics(const ViewStatisticsCall& call, Stream stream) {
  for_type_and_vector(call.type, call.shape.channels, [&](auto element, auto vec) {
    const ChannelTiling tiling = channel_tiling(call.shape, vec);
    const Task task{call.shape,
                    tiling,
                    call.y,
                    call.bias,
                    call.residual,
                    call.stats,
                    static_cast<float*>(call.workspace),
                    call.counters};
    using T = decltype(element);
    const bool changes = call.bias != nullptr || call.residual != nullptr;
    launch("view_statistics", changes ? add_and_measure<T, vec, true> : add_and_measure<T, vec, false>,
           tiling.launch(call.shape.views, bytes_of(call)), stream, task);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
