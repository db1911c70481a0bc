// Backward is two passes over memory. The first writes d_z, the gradient that ReLU lets through, over the
// shortcut's gradient, and sums what the statistics contribute, which its last block merges; the second makes
// d_x of it, and, behind a second batch norm, d_s. The sums are those of batch_norm_backward.cu.
#include "block_join.h"

#include "last_block.cuh"
#include "normalise.cuh"
#include "running_statistics.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kSums = 3;  // of d_z, d_z (x - mean), d_z (s - mean)
constexpr int kThreads = 256;

// What the first pass backward writes of the parameters' gradients.
struct ParameterGradients {
  float *d_gamma, *d_beta, *s_d_gamma, *s_d_beta;  // the last two null without a second batch norm
};

struct Task {
  ViewRows shape;
  ChannelTiling tiling;
  void *y, *d_x, *d_s;
  const void *d_y, *x, *s;
  BatchNormParameters bn, s_bn;
  ParameterGradients gradients;
  float* partial;  // [V, row_blocks, kSums, C]
  float* means;    // [V, kSums, C]: mean(d_z), mean(d_z x_hat) / deviation, mean(d_z s_hat) / deviation of s
  unsigned* counters;  // [channel_blocks]
};

// Both tensors' numbers at a thread's channels. numbers: shared memory, join_bytes().
template <int kVec, bool kNormalised>
struct Join {
  Normaliser<kVec> x, s;

  __device__ Join(const Task& task, const ChannelThread<kVec>& thread, float* numbers)
      : x(shared_normaliser(task.bn, task.shape, task.tiling, thread, numbers)) {
    if constexpr (kNormalised) {
      s = shared_normaliser(task.s_bn, task.shape, task.tiling, thread,
                            numbers + 3 * task.tiling.lanes * kVec);
    }
  }
  __device__ float z(int i, float of_x, float of_s) const {
    return x(i, of_x) + (kNormalised ? s(i, of_s) : of_s);
  }
};

template <int kVec>
std::size_t join_bytes(const ChannelTiling& tiling, bool normalised) {
  return normaliser_bytes<kVec>(tiling) * (normalised ? 2 : 1);
}

template <typename T, int kVec>
__device__ std::int64_t first_element(const Task& task, const ChannelThread<kVec>& thread) {
  return std::int64_t{thread.view} * task.shape.rows * task.shape.channels + thread.channel;
}

// Cost "block_join_forward" of a value of x: 3 S bytes, 5 operations; 4 operations more behind a second batch
// norm.
template <typename T, int kVec, bool kNormalised>
__global__ void __launch_bounds__(kTileThreads, 2) forward(Task task) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(float, numbers);
  const bool training = task.bn.stats != nullptr;
  if (is_running_block(training)) {
    update_running_of_block<kVec>(task.bn, task.shape, task.tiling);
    if constexpr (kNormalised) update_running_of_block<kVec>(task.s_bn, task.shape, task.tiling);
    return;
  }
  const ChannelThread<kVec> thread(task.tiling, task.shape, row_block_of(training));
  const Join<kVec, kNormalised> join(task, thread, numbers);
  const int channels = task.shape.channels;
  const std::int64_t first = first_element<T>(task, thread);
  const T* const of_x = static_cast<const T*>(task.x) + first;
  const T* const of_s = static_cast<const T*>(task.s) + first;
  T* const y = static_cast<T*>(task.y) + first;
  constexpr int kAtOnce = kNormalised ? 2 : 4;
  Vector<T, kVec> x_vector[kAtOnce] = {}, s_vector[kAtOnce] = {};
  for_rows<kAtOnce>(
      thread, task.shape.rows,
      [&](int i, std::int64_t row) {
        x_vector[i] = load_vector<kVec>(of_x + row * channels);
        s_vector[i] = load_vector<kVec>(of_s + row * channels);
      },
      [&](int i, std::int64_t row) {
        float x[kVec], s[kVec];
        unpack(x, x_vector[i]);
        unpack(s, s_vector[i]);
        for (int c = 0; c < kVec; ++c) x[c] = relu(join.z(c, x[c], s[c]));
        store(y + row * channels, x);
      });
}

// Sum number k of all blocks: its means for apply(), and the gradient that it is. `hats`: the sum is of
// products with differences from the mean of this batch norm, which its deviation makes x_hat of.
template <int kVec>
__device__ void merge_sum(const Task& task, const ChannelThread<kVec>& thread, int k,
                          const BatchNormParameters& bn, bool hats, float* gradient, double* shared) {
  const int channels = task.shape.channels;
  const double inverse_n = 1 / rows_of_stats(task.bn, task.shape);
  double total[kVec] = {}, sums[kVec];
  for (int view = 0; view < task.shape.views; ++view) {
    const float* const partial =
        task.partial + (std::int64_t{view} * task.tiling.row_blocks * kSums + k) * channels + thread.channel;
    sum_over_blocks(sums, partial, std::int64_t{kSums} * channels, task.tiling.row_blocks, thread.has_channel,
                    task.tiling, thread.row_lane, shared);
    if (!thread.has_channel || thread.row_lane != 0) continue;
    float* const means = task.means + (std::int64_t{view} * kSums + k) * channels + thread.channel;
    for (int i = 0; i < kVec; ++i) {
      double inverse_deviation = 1;
      if (hats) inverse_deviation = ChannelNorm(bn, task.shape, view, thread.channel + i).inverse_deviation;
      const double sum_of_hat = sums[i] * inverse_deviation;
      means[i] = static_cast<float>(sum_of_hat * inverse_n * inverse_deviation);
      total[i] += sum_of_hat;
    }
  }
  if (!thread.has_channel || thread.row_lane != 0) return;
  for (int i = 0; i < kVec; ++i) gradient[thread.channel + i] = static_cast<float>(total[i]);
}

// The last block of these channels makes of all blocks' sums what apply() reads, and the parameters'
// gradients.
template <int kVec, bool kNormalised>
__device__ void merge(const Task& task, const ChannelThread<kVec>& thread, double* shared) {
  const ParameterGradients& to = task.gradients;
  merge_sum(task, thread, 0, task.bn, false, to.d_beta, shared);
  merge_sum(task, thread, 1, task.bn, true, to.d_gamma, shared);
  if constexpr (kNormalised) {
    merge_sum(task, thread, 2, task.s_bn, true, to.s_d_gamma, shared);
    if (!thread.has_channel || thread.row_lane != 0) return;
    for (int i = 0; i < kVec; ++i) to.s_d_beta[thread.channel + i] = to.d_beta[thread.channel + i];
  }
}

// Cost "block_join_backward reduce" of a value of x: 4 S bytes, 9 operations; 6 operations more behind a
// second batch norm.
template <typename T, int kVec, bool kNormalised>
__global__ void __launch_bounds__(kTileThreads, 2) reduce(Task task) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(float, numbers);
  DPLL_SHARED(double, shared, kTileThreads* kVec);
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  const Join<kVec, kNormalised> join(task, thread, numbers);
  const int channels = task.shape.channels;
  const std::int64_t first = first_element<T>(task, thread);
  const T* const of_x = static_cast<const T*>(task.x) + first;
  const T* const of_s = static_cast<const T*>(task.s) + first;
  const T* const d_y = static_cast<const T*>(task.d_y) + first;
  T* const d_s = static_cast<T*>(task.d_s) + first;
  float sums[kSums][kVec] = {};
  constexpr int kAtOnce = kNormalised ? 1 : 2;
  Vector<T, kVec> x_vector[kAtOnce] = {}, s_vector[kAtOnce] = {}, d_y_vector[kAtOnce] = {};
  for_rows<kAtOnce>(
      thread, task.shape.rows,
      [&](int i, std::int64_t row) {
        x_vector[i] = load_vector<kVec>(of_x + row * channels);
        s_vector[i] = load_vector<kVec>(of_s + row * channels);
        d_y_vector[i] = load_vector<kVec>(d_y + row * channels);
      },
      [&](int i, std::int64_t row) {
        float x[kVec], s[kVec], d_z[kVec];
        unpack(x, x_vector[i]);
        unpack(s, s_vector[i]);
        unpack(d_z, d_y_vector[i]);
        for (int c = 0; c < kVec; ++c) {
          if (!(join.z(c, x[c], s[c]) > 0)) d_z[c] = 0;
          sums[0][c] += d_z[c];
          sums[1][c] = fmaf(d_z[c], x[c] - join.x.mean.v[c], sums[1][c]);
          if constexpr (kNormalised) sums[2][c] = fmaf(d_z[c], s[c] - join.s.mean.v[c], sums[2][c]);
        }
        store(d_s + row * channels, d_z);
      });
  float* const partial =
      task.partial + (std::int64_t{thread.view} * task.tiling.row_blocks + blockIdx.x) * kSums * channels +
      thread.channel;
  DPLL_UNROLL
  for (int k = 0; k < (kNormalised ? 3 : 2); ++k) {
    sum_over_row_lanes(sums[k], task.tiling, thread.row_lane, reinterpret_cast<float*>(shared));
    if (!thread.has_channel || thread.row_lane != 0) continue;
    for (int i = 0; i < kVec; ++i) partial[std::int64_t{k} * channels + i] = sums[k][i];
  }
  if (is_last_block(task.counters + blockIdx.z, gridDim.x * gridDim.y)) {
    merge<kVec, kNormalised>(task, thread, shared);
  }
}

// Cost "block_join_backward apply" of a value of x: 3 S bytes, 5 operations; 2 S bytes and 5 operations more
// behind a second batch norm.
template <typename T, int kVec, bool kNormalised>
__global__ void __launch_bounds__(kTileThreads, 2) apply(Task task) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(float, numbers);
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  const Join<kVec, kNormalised> join(task, thread, numbers);
  const int channels = task.shape.channels;
  const std::int64_t first = first_element<T>(task, thread);
  const T* const of_x = static_cast<const T*>(task.x) + first;
  const T* const of_s = static_cast<const T*>(task.s) + first;
  T* const d_x = static_cast<T*>(task.d_x) + first;
  T* const d_s = static_cast<T*>(task.d_s) + first;
  Vector<float, kVec> mean{}, slope{}, s_slope{};
  if (thread.has_channel) {
    const float* const means = task.means + std::int64_t{thread.view} * kSums * channels + thread.channel;
    mean = load_vector<kVec>(means);
    slope = load_vector<kVec>(means + channels);
    if constexpr (kNormalised) s_slope = load_vector<kVec>(means + std::int64_t{2} * channels);
  }
  constexpr int kAtOnce = kNormalised ? 1 : 2;
  Vector<T, kVec> x_vector[kAtOnce] = {}, s_vector[kAtOnce] = {}, d_z_vector[kAtOnce] = {};
  for_rows<kAtOnce>(
      thread, task.shape.rows,
      [&](int i, std::int64_t row) {
        x_vector[i] = load_vector<kVec>(of_x + row * channels);
        d_z_vector[i] = load_vector<kVec>(d_s + row * channels);
        if constexpr (kNormalised) s_vector[i] = load_vector<kVec>(of_s + row * channels);
      },
      [&](int i, std::int64_t row) {
        float x[kVec], d_z[kVec];
        unpack(x, x_vector[i]);
        unpack(d_z, d_z_vector[i]);
        for (int c = 0; c < kVec; ++c) {
          x[c] = join.x.scale.v[c] * (d_z[c] - mean.v[c] - (x[c] - join.x.mean.v[c]) * slope.v[c]);
        }
        store(d_x + row * channels, x);
        if constexpr (kNormalised) {
          float s[kVec];
          unpack(s, s_vector[i]);
          for (int c = 0; c < kVec; ++c) {
            s[c] = join.s.scale.v[c] * (d_z[c] - mean.v[c] - (s[c] - join.s.mean.v[c]) * s_slope.v[c]);
          }
          store(d_s + row * channels, s);
        }
      });
}

double values_of(const ViewRows& shape) {
  return static_cast<double>(shape.views * shape.rows) * shape.channels;
}

template <typename T, int kVec, bool kNormalised>
void run_backward(const Task& task, const ShareSums& share, Stream stream) {
  const double tensor = values_of(task.shape) * sizeof(T);
  const std::size_t shared = join_bytes<kVec>(task.tiling, kNormalised);
  launch("block_join_backward reduce", reduce<T, kVec, kNormalised>,
         task.tiling.launch(task.shape.views, 4 * tensor, shared), stream, task);
  if (share) share(task.means, std::int64_t{task.shape.views} * kSums * task.shape.channels);
  launch("block_join_backward apply", apply<T, kVec, kNormalised>,
         task.tiling.launch(task.shape.views, (kNormalised ? 5 : 3) * tensor, shared), stream, task);
}

std::size_t partial_bytes(const ViewRows& shape) {
  return static_cast<std::size_t>(kMostRowBlocks) * static_cast<std::size_t>(shape.views) * kSums *
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
  wait_for_previous_kernel();
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= elements) return;
  const std::int64_t from =
      place_in_shortcut(shape, at / shape.channels, static_cast<int>(at % shape.channels));
  to[at] = from < 0 ? from_float<T>(0) : s[from];
}

// Cost "gather_shortcut" of a value of s: 1.25 S bytes, 0 operations.
template <typename T>
__global__ void gather(T* d_s, const T* from, SubsampledShape shape, std::int64_t elements) {
  wait_for_previous_kernel();
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
    task.tiling = channel_tiling(call.shape, kVec, 1024);
    const LaunchShape rows = task.tiling.launch(call.shape.views, 3 * values_of(call.shape) * sizeof(T),
                                                join_bytes<kVec>(task.tiling, call.normalised));
    launch("block_join_forward", call.normalised ? forward<T, kVec, true> : forward<T, kVec, false>,
           with_running_block(rows, call.bn.stats != nullptr), stream, task);
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
  task.gradients = {call.d_gamma, call.d_beta, call.s_d_gamma, call.s_d_beta};
  task.counters = call.counters;
  for_type_and_vector(call.type, call.shape.channels, [&](auto element, auto vec) {
    using T = decltype(element);
    constexpr int kVec = vec;
    task.tiling = channel_tiling(call.shape, kVec);
    if (call.normalised) {
      run_backward<T, kVec, true>(task, call.share, stream);
    } else {
      run_backward<T, kVec, false>(task, call.share, stream);
    }
  });
}

void spread_shortcut(void* to, const void* s, const SubsampledShape& shape, DType type, Stream stream) {
  const std::int64_t elements = shape.images * shape.height * shape.width * shape.channels;
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("spread_shortcut", spread<T>,
           LaunchShape{{blocks_for(elements, kThreads), 1, 1},
                       kThreads,
                       0,
                       1.5 * static_cast<double>(elements) * sizeof(T)},
           stream, static_cast<T*>(to), static_cast<const T*>(s), shape, elements);
  });
}

void gather_shortcut(void* d_s, const void* from, const SubsampledShape& shape, DType type, Stream stream) {
  const std::int64_t elements = shape.images * shape.s_height * shape.s_width * shape.s_channels;
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("gather_shortcut", gather<T>,
           LaunchShape{{blocks_for(elements, kThreads), 1, 1},
                       kThreads,
                       0,
                       1.25 * static_cast<double>(elements) * sizeof(T)},
           stream, static_cast<T*>(d_s), static_cast<const T*>(from), shape, elements);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
