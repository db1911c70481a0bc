// Backward is two passes over memory with a small merge between them. The first writes d_z, the gradient that
// ReLU lets through, over the shortcut's gradient, and sums what the statistics contribute; the second makes
// d_x of it, and, behind a second batch norm, d_s. The sums are those of batch_norm_backward.cu.
#include "block_join.h"

#include "normalise.cuh"
#include "running_statistics.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kForwardRowsPerThread = 8, kForwardRowBlocks = 1024;
constexpr int kRowsPerThread = 16, kMaxRowBlocks = 256;
constexpr int kMergeLanes = 32, kMergeStrips = 8;
constexpr int kSums = 3;  // of d_z, d_z x_hat, d_z s_hat
constexpr int kThreads = 256;

struct Task {
  ViewRows shape;
  ChannelTiling tiling;
  void *y, *d_x, *d_s;
  const void *d_y, *x, *s;
  BatchNormParameters bn, s_bn;
  float* partial;  // [V, row_blocks, kSums, C]
  float* means;    // [V, kSums, C]: mean(d_z), mean(d_z x_hat) / deviation, mean(d_z s_hat) / deviation of s
};

// Both tensors' numbers at a thread's channels.
template <int kVec, bool kNormalised>
struct Join {
  Normaliser<kVec> x, s;

  __device__ Join(const Task& task, const ChannelThread<kVec>& thread)
      : x(task.bn, task.shape, thread.view, thread.channel) {
    if constexpr (kNormalised) s = Normaliser<kVec>(task.s_bn, task.shape, thread.view, thread.channel);
  }
  __device__ float z(int i, float of_x, float of_s) const {
    return x(i, of_x) + (kNormalised ? s(i, of_s) : of_s);
  }
};

template <typename T, int kVec>
__device__ std::int64_t first_element(const Task& task, const ChannelThread<kVec>& thread) {
  return std::int64_t{thread.view} * task.shape.rows * task.shape.channels + thread.channel;
}

// Cost "block_join_forward" of a value of x: 3 S bytes, 5 operations; 4 operations more behind a second batch
// norm.
template <typename T, int kVec, bool kNormalised>
__global__ void forward(Task task) {
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  if (!thread.has_channel) return;
  const int channels = task.shape.channels;
  if (task.bn.stats != nullptr && thread.view == 0 && thread.first == 0) {
    update_running<kVec>(task.bn, task.shape, thread.channel);
    if constexpr (kNormalised) update_running<kVec>(task.s_bn, task.shape, thread.channel);
  }
  const Join<kVec, kNormalised> join(task, thread);
  const std::int64_t first = first_element<T>(task, thread);
  for (std::int64_t row = thread.first; row < task.shape.rows; row += thread.step) {
    const std::int64_t at = first + row * channels;
    float x[kVec], s[kVec];
    load(x, static_cast<const T*>(task.x) + at);
    load(s, static_cast<const T*>(task.s) + at);
    for (int i = 0; i < kVec; ++i) x[i] = relu(join.z(i, x[i], s[i]));
    store(static_cast<T*>(task.y) + at, x);
  }
}

// Cost "block_join_backward reduce" of a value of x: 4 S bytes, 10 operations; 6 operations more behind a
// second batch norm.
template <typename T, int kVec, bool kNormalised>
__global__ void reduce(Task task) {
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  const int channels = task.shape.channels;
  float sum[kVec] = {}, product[kVec] = {}, s_product[kVec] = {};
  if (thread.has_channel) {
    const Join<kVec, kNormalised> join(task, thread);
    const std::int64_t first = first_element<T>(task, thread);
    for (std::int64_t row = thread.first; row < task.shape.rows; row += thread.step) {
      const std::int64_t at = first + row * channels;
      float x[kVec], s[kVec], d_z[kVec];
      load(x, static_cast<const T*>(task.x) + at);
      load(s, static_cast<const T*>(task.s) + at);
      load(d_z, static_cast<const T*>(task.d_y) + at);
      for (int i = 0; i < kVec; ++i) {
        if (!(join.z(i, x[i], s[i]) > 0)) d_z[i] = 0;
        sum[i] += d_z[i];
        product[i] = fmaf(d_z[i], (x[i] - join.x.mean[i]) * join.x.inverse_deviation[i], product[i]);
        if constexpr (kNormalised) {
          s_product[i] = fmaf(d_z[i], (s[i] - join.s.mean[i]) * join.s.inverse_deviation[i], s_product[i]);
        }
      }
      store(static_cast<T*>(task.d_s) + at, d_z);
    }
  }
  sum_over_row_lanes(sum, task.tiling, thread.row_lane);
  sum_over_row_lanes(product, task.tiling, thread.row_lane);
  if constexpr (kNormalised) sum_over_row_lanes(s_product, task.tiling, thread.row_lane);
  if (!thread.has_channel || thread.row_lane != 0) return;
  float* const partial =
      task.partial + (std::int64_t{thread.view} * task.tiling.row_blocks + blockIdx.x) * kSums * channels;
  for (int i = 0; i < kVec; ++i) {
    partial[thread.channel + i] = sum[i];
    partial[channels + thread.channel + i] = product[i];
    partial[2 * channels + thread.channel + i] = s_product[i];
  }
}

// What merge() writes.
struct ParameterGradients {
  float *d_gamma, *d_beta, *s_d_gamma, *s_d_beta;  // the last two null without a second batch norm
};

// Sums over the row blocks of every view in turn, in double. Block: kMergeLanes channels x kMergeStrips
// threads that share the blocks.
//
// Cost "block_join_backward merge" of a partial sum: 4 bytes, 1 operation; in float64.
__global__ void merge(Task task, ParameterGradients to) {
  DPLL_SHARED(double, shared, kSums* kMergeLanes* kMergeStrips);
  const int lane = static_cast<int>(threadIdx.x) % kMergeLanes;
  const int strip = static_cast<int>(threadIdx.x) / kMergeLanes;
  const int channels = task.shape.channels;
  const int channel = static_cast<int>(blockIdx.x) * kMergeLanes + lane;
  double totals[kSums] = {};
  for (int view = 0; view < task.shape.views; ++view) {
    double sums[kSums] = {};
    for (int block = strip; block < task.tiling.row_blocks && channel < channels; block += kMergeStrips) {
      const float* const partial =
          task.partial + (std::int64_t{view} * task.tiling.row_blocks + block) * kSums * channels + channel;
      for (int k = 0; k < kSums; ++k) sums[k] += partial[k * channels];
    }
    for (int k = 0; k < kSums; ++k) shared[kSums * threadIdx.x + k] = sums[k];
    __syncthreads();
    if (strip == 0 && channel < channels) {
      for (int other = 1; other < kMergeStrips; ++other) {
        for (int k = 0; k < kSums; ++k) sums[k] += shared[kSums * (other * kMergeLanes + lane) + k];
      }
      const auto n = static_cast<double>(task.shape.rows);
      const Normaliser<1> x(task.bn, task.shape, view, channel);
      float* const means = task.means + std::int64_t{view} * kSums * channels + channel;
      means[0] = static_cast<float>(sums[0] / n);
      means[channels] = static_cast<float>(sums[1] / n * static_cast<double>(x.inverse_deviation[0]));
      if (to.s_d_gamma != nullptr) {
        const Normaliser<1> s(task.s_bn, task.shape, view, channel);
        means[2 * channels] = static_cast<float>(sums[2] / n * static_cast<double>(s.inverse_deviation[0]));
      }
      for (int k = 0; k < kSums; ++k) totals[k] += sums[k];
    }
    __syncthreads();
  }
  if (strip != 0 || channel >= channels) return;
  to.d_beta[channel] = static_cast<float>(totals[0]);
  to.d_gamma[channel] = static_cast<float>(totals[1]);
  if (to.s_d_gamma == nullptr) return;
  to.s_d_beta[channel] = static_cast<float>(totals[0]);
  to.s_d_gamma[channel] = static_cast<float>(totals[2]);
}

// Cost "block_join_backward apply" of a value of x: 3 S bytes, 5 operations; 2 S bytes and 5 operations more
// behind a second batch norm.
template <typename T, int kVec, bool kNormalised>
__global__ void apply(Task task) {
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  if (!thread.has_channel) return;
  const int channels = task.shape.channels;
  const Join<kVec, kNormalised> join(task, thread);
  const std::int64_t first = first_element<T>(task, thread);
  float mean[kVec], slope[kVec], s_slope[kVec] = {};
  for (int i = 0; i < kVec; ++i) {
    const float* const means = task.means + std::int64_t{thread.view} * kSums * channels + thread.channel + i;
    mean[i] = means[0];
    slope[i] = means[channels];
    if constexpr (kNormalised) s_slope[i] = means[2 * channels];
  }
  for (std::int64_t row = thread.first; row < task.shape.rows; row += thread.step) {
    const std::int64_t at = first + row * channels;
    float x[kVec], d_z[kVec];
    load(x, static_cast<const T*>(task.x) + at);
    load(d_z, static_cast<const T*>(task.d_s) + at);
    for (int i = 0; i < kVec; ++i) {
      x[i] = join.x.scale[i] * (d_z[i] - mean[i] - (x[i] - join.x.mean[i]) * slope[i]);
    }
    store(static_cast<T*>(task.d_x) + at, x);
    if constexpr (kNormalised) {
      float s[kVec];
      load(s, static_cast<const T*>(task.s) + at);
      for (int i = 0; i < kVec; ++i) {
        s[i] = join.s.scale[i] * (d_z[i] - mean[i] - (s[i] - join.s.mean[i]) * s_slope[i]);
      }
      store(static_cast<T*>(task.d_s) + at, s);
    }
  }
}

template <typename T, int kVec, bool kNormalised>
void run_backward(const Task& task, const BlockJoinBackwardCall& call, Stream stream) {
  const LaunchShape rows = task.tiling.launch(task.shape.views);
  const ParameterGradients to{call.d_gamma, call.d_beta, call.s_d_gamma, call.s_d_beta};
  launch("block_join_backward reduce", reduce<T, kVec, kNormalised>, rows, stream, task);
  launch("block_join_backward merge", merge,
         LaunchShape{{blocks_for(task.shape.channels, kMergeLanes), 1, 1}, kMergeLanes * kMergeStrips, 0},
         stream, task, to);
  launch("block_join_backward apply", apply<T, kVec, kNormalised>, rows, stream, task);
}

std::size_t partial_bytes(const ViewRows& shape) {
  return static_cast<std::size_t>(kMaxRowBlocks) * static_cast<std::size_t>(shape.views) * kSums *
         static_cast<std::size_t>(shape.channels) * sizeof(float);
}

// Where pixel `pixel` of x, counted over all images, has its channel `channel` in s; -1: a zero.
__device__ inline std::int64_t place_in_shortcut(const SubsampledShape& shape, std::int64_t pixel,
                                                 int channel) {
  const int w = static_cast<int>(pixel % shape.width);
  const int h = static_cast<int>(pixel / shape.width % shape.height);
  const std::int64_t image = pixel / shape.width / shape.height;
  const int own = channel - shape.pad;
  if (own < 0 || own >= shape.s_channels) return -1;
  return ((image * shape.s_height + 2 * h) * shape.s_width + 2 * w) * shape.s_channels + own;
}

// A network has two such shortcuts: not worth vectors.
// Cost "spread_shortcut" of a value of x: 1.5 S bytes, 0 operations.
template <typename T>
__global__ void spread(T* to, const T* s, SubsampledShape shape, std::int64_t elements) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= elements) return;
  const std::int64_t from =
      place_in_shortcut(shape, at / shape.channels, static_cast<int>(at % shape.channels));
  to[at] = from < 0 ? from_float<T>(0) : s[from];
}

// Cost "gather_shortcut" of a value of s: 1.25 S bytes, 0 operations.
template <typename T>
__global__ void gather(T* d_s, const T* from, SubsampledShape shape, std::int64_t elements) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= elements) return;
  const std::int64_t pixel = at / shape.s_channels;
  const int channel = static_cast<int>(at % shape.s_channels) + shape.pad;
  const int w = static_cast<int>(pixel % shape.s_width);
  const int h = static_cast<int>(pixel / shape.s_width % shape.s_height);
  const std::int64_t image = pixel / shape.s_width / shape.s_height;
  const std::int64_t of_x = ((image * shape.height + h / 2) * shape.width + w / 2) * shape.channels + channel;
  d_s[at] = h % 2 == 0 && w % 2 == 0 ? from[of_x] : from_float<T>(0);
}

}  // namespace

void block_join_forward(const BlockJoinForwardCall& call, Stream stream) {
  Task task{};
  task.shape = call.shape;
  task.y = call.y;
  task.x = call.x;
  task.s = call.s;
  task.bn = call.bn;
  task.s_bn = call.s_bn;
  for_type_and_vector(call.type, call.shape.channels, [&](auto element, auto vec) {
    using T = decltype(element);
    constexpr int kVec = vec;
    task.tiling = channel_tiling(call.shape, kVec, kForwardRowsPerThread, kForwardRowBlocks);
    launch("block_join_forward", call.normalised ? forward<T, kVec, true> : forward<T, kVec, false>,
           task.tiling.launch(call.shape.views), stream, task);
  });
}

std::size_t block_join_backward_workspace(const ViewRows& shape) {
  return partial_bytes(shape) + static_cast<std::size_t>(shape.views) * kSums *
                                    static_cast<std::size_t>(shape.channels) * sizeof(float);
}

void block_join_backward(const BlockJoinBackwardCall& call, Stream stream) {
  auto* const workspace = static_cast<unsigned char*>(call.workspace);
  Task task{};
  task.shape = call.shape;
  task.d_x = call.d_x;
  task.d_s = call.d_s;
  task.d_y = call.d_y;
  task.x = call.x;
  task.s = call.s;
  task.bn = call.bn;
  task.s_bn = call.s_bn;
  task.partial = reinterpret_cast<float*>(workspace);
  task.means = reinterpret_cast<float*>(workspace + partial_bytes(call.shape));
  for_type_and_vector(call.type, call.shape.channels, [&](auto element, auto vec) {
    using T = decltype(element);
    constexpr int kVec = vec;
    task.tiling = channel_tiling(call.shape, kVec, kRowsPerThread, kMaxRowBlocks);
    if (call.normalised) {
      run_backward<T, kVec, true>(task, call, stream);
    } else {
      run_backward<T, kVec, false>(task, call, stream);
    }
  });
}

void spread_shortcut(void* to, const void* s, const SubsampledShape& shape, DType type, Stream stream) {
  const std::int64_t elements = shape.images * shape.height * shape.width * shape.channels;
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("spread_shortcut", spread<T>, LaunchShape{{blocks_for(elements, kThreads), 1, 1}, kThreads, 0},
           stream, static_cast<T*>(to), static_cast<const T*>(s), shape, elements);
  });
}

void gather_shortcut(void* d_s, const void* from, const SubsampledShape& shape, DType type, Stream stream) {
  const std::int64_t elements = shape.images * shape.s_height * shape.s_width * shape.s_channels;
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("gather_shortcut", gather<T>, LaunchShape{{blocks_for(elements, kThreads), 1, 1}, kThreads, 0},
           stream, static_cast<T*>(d_s), static_cast<const T*>(from), shape, elements);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
