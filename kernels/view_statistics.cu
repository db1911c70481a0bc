#include "view_statistics.h"

#include "channel_rows.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kRowsPerThread = 16, kMaxRowBlocks = 256;
constexpr int kMergeLanes = 32, kMergeStrips = 8;

// n values with mean `mean`, whose squared differences from it sum to `m2`.
template <typename Real>
struct Moments {
  Real n = 0, mean = 0, m2 = 0;
};

template <typename Real>
__device__ inline Moments<Real> merged(const Moments<Real>& a, const Moments<Real>& b) {
  if (b.n == 0) return a;
  if (a.n == 0) return b;
  const Real n = a.n + b.n, delta = b.mean - a.mean;
  return {n, a.mean + delta * (b.n / n), a.m2 + b.m2 + delta * delta * (a.n * (b.n / n))};
}

struct Task {
  ViewRows shape;
  ChannelTiling tiling;
  void* y;
  const float* bias;
  const void* residual;
  float* partial;  // [V, row_blocks, 2, C]: mean and m2
};

// Merges the moments of the threads with the same channels; row lane 0 has the result.
template <int kVec>
__device__ void merge_row_lanes(Moments<float> (&moments)[kVec], const ChannelTiling& tiling, int row_lane) {
  DPLL_SHARED(float, counts, kTileThreads);
  DPLL_SHARED(float, means, kTileThreads* kVec);
  DPLL_SHARED(float, m2s, kTileThreads* kVec);
  const int own = static_cast<int>(threadIdx.x);
  counts[own] = moments[0].n;
  for (int i = 0; i < kVec; ++i) {
    means[own * kVec + i] = moments[i].mean;
    m2s[own * kVec + i] = moments[i].m2;
  }
  __syncthreads();
  int span = 1;
  while (span < tiling.rows_at_once) span *= 2;
  for (int half = span / 2; half > 0; half /= 2) {
    if (row_lane < half && row_lane + half < tiling.rows_at_once) {
      const int other = own + half * tiling.lanes;
      const float n = counts[own], other_n = counts[other];
      for (int i = 0; i < kVec; ++i) {
        const Moments<float> sum = merged<float>({n, means[own * kVec + i], m2s[own * kVec + i]},
                                                 {other_n, means[other * kVec + i], m2s[other * kVec + i]});
        means[own * kVec + i] = sum.mean;
        m2s[own * kVec + i] = sum.m2;
      }
      counts[own] = n + other_n;
    }
    __syncthreads();
  }
  for (int i = 0; i < kVec; ++i) moments[i] = {counts[own], means[own * kVec + i], m2s[own * kVec + i]};
}

// Cost "view_statistics" of a value of y: S bytes, 4 operations; S bytes more where y changes, S for a
// residual.
template <typename T, int kVec>
__global__ void add_and_measure(Task task) {
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  const int channels = task.shape.channels;
  T* const y = static_cast<T*>(task.y) + std::int64_t{thread.view} * task.shape.rows * channels;
  const T* const residual =
      task.residual == nullptr
          ? nullptr
          : static_cast<const T*>(task.residual) + std::int64_t{thread.view} * task.shape.rows * channels;
  const bool changes = task.bias != nullptr || task.residual != nullptr;

  float bias[kVec] = {};
  if (task.bias != nullptr && thread.has_channel) {
    for (int i = 0; i < kVec; ++i) bias[i] = task.bias[thread.channel + i];
  }
  float shift[kVec] = {}, sum[kVec] = {}, squares[kVec] = {};
  float count = 0;
  for (std::int64_t row = thread.first; row < task.shape.rows; row += thread.step) {
    const std::int64_t at = row * channels + thread.channel;
    float value[kVec];
    load(value, y + at);
    if (changes) {
      float other[kVec] = {};
      if (residual != nullptr) load(other, residual + at);
      for (int i = 0; i < kVec; ++i) value[i] += bias[i] + other[i];
      store(y + at, value);
      round_to<T>(value);
    }
    if (count == 0) {
      for (int i = 0; i < kVec; ++i) shift[i] = value[i];
    }
    for (int i = 0; i < kVec; ++i) {
      const float difference = value[i] - shift[i];
      sum[i] += difference;
      squares[i] = fmaf(difference, difference, squares[i]);
    }
    count += 1;
  }
  if (task.partial == nullptr) return;

  Moments<float> moments[kVec];
  for (int i = 0; i < kVec; ++i) {
    const float mean = count > 0 ? sum[i] / count : 0.0F;
    moments[i] = {count, shift[i] + mean, fmaf(-mean, sum[i], squares[i])};
  }
  merge_row_lanes(moments, task.tiling, thread.row_lane);
  if (!thread.has_channel || thread.row_lane != 0) return;
  float* const partial =
      task.partial + (std::int64_t{thread.view} * task.tiling.row_blocks + blockIdx.x) * 2 * channels;
  for (int i = 0; i < kVec; ++i) {
    partial[thread.channel + i] = moments[i].mean;
    partial[channels + thread.channel + i] = moments[i].m2;
  }
}

// Merges the row blocks of one view. Block: kMergeLanes channels x kMergeStrips threads that share the
// blocks.
// Cost "view_statistics merge" of a partial mean and m2: 8 bytes, 10 operations; in float64.
__global__ void merge_row_blocks(Task task, float* stats) {
  DPLL_SHARED(double, shared, 3 * kMergeLanes * kMergeStrips);
  const int lane = static_cast<int>(threadIdx.x) % kMergeLanes;
  const int strip = static_cast<int>(threadIdx.x) / kMergeLanes;
  const int channels = task.shape.channels, view = static_cast<int>(blockIdx.y);
  const int channel = static_cast<int>(blockIdx.x) * kMergeLanes + lane;
  Moments<double> moments;
  for (int block = strip; block < task.tiling.row_blocks && channel < channels; block += kMergeStrips) {
    const float* const partial =
        task.partial + (std::int64_t{view} * task.tiling.row_blocks + block) * 2 * channels + channel;
    const auto n = static_cast<double>(rows_of_block(task.tiling, task.shape.rows, block));
    moments = merged<double>(moments, {n, partial[0], partial[channels]});
  }
  double* const own = shared + 3 * threadIdx.x;
  own[0] = moments.n;
  own[1] = moments.mean;
  own[2] = moments.m2;
  __syncthreads();
  if (strip != 0 || channel >= channels) return;
  for (int other = 1; other < kMergeStrips; ++other) {
    const double* const theirs = own + 3 * other * kMergeLanes;
    moments = merged<double>(moments, {theirs[0], theirs[1], theirs[2]});
  }
  stats[std::int64_t{view} * 2 * channels + channel] = static_cast<float>(moments.mean);
  stats[(std::int64_t{view} * 2 + 1) * channels + channel] = static_cast<float>(moments.m2 / moments.n);
}

int vector_of(DType type, int channels) {
  int result = 1;
  for_type_and_vector(type, channels, [&](auto, auto vec) { result = vec; });
  return result;
}

}  // namespace

std::size_t view_statistics_workspace(const ViewRows& shape) {
  // The tiling for one channel a thread has the most row blocks.
  const ChannelTiling tiling = channel_tiling(shape, 1, kRowsPerThread, kMaxRowBlocks);
  const ChannelTiling wide = channel_tiling(shape, 8, kRowsPerThread, kMaxRowBlocks);
  return static_cast<std::size_t>(std::max(tiling.row_blocks, wide.row_blocks)) *
         static_cast<std::size_t>(shape.views) * 2 * static_cast<std::size_t>(shape.channels) * sizeof(float);
}

void view_statistics(const ViewStatisticsCall& call, Stream stream) {
  const ChannelTiling tiling =
      channel_tiling(call.shape, vector_of(call.type, call.shape.channels), kRowsPerThread, kMaxRowBlocks);
  const Task task{call.shape,    tiling,
                  call.y,        call.bias,
                  call.residual, call.stats == nullptr ? nullptr : static_cast<float*>(call.workspace)};
  for_type_and_vector(call.type, call.shape.channels, [&](auto element, auto vec) {
    launch("view_statistics", add_and_measure<decltype(element), vec>, tiling.launch(call.shape.views),
           stream, task);
  });
  if (call.stats == nullptr) return;
  const LaunchShape merge{
      {blocks_for(call.shape.channels, kMergeLanes), static_cast<unsigned>(call.shape.views), 1},
      kMergeLanes * kMergeStrips,
      0};
  launch("view_statistics merge", merge_row_blocks, merge, stream, task, call.stats);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
