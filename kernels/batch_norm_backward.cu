// Two passes over x and the gradient: the sums that the mean and variance contribute, which the last block of
// the first pass merges, then d_x. With d_z the gradient of batch norm's output, x_hat = (x - mean) /
// deviation and means over the n values of a channel in a view:
//   d_beta = sum over views of sum(d_z),  d_gamma = sum over views of sum(d_z x_hat)
//   d_x = gamma / deviation * (d_z - mean(d_z) - x_hat mean(d_z x_hat))
// Source: Ioffe & Szegedy 2015. Behind a max pooling a thread works on the four pixels of a window.
#include "batch_norm.h"
#include "last_block.cuh"
#include "normalise.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kMergeLanes = 32;

struct Task {
  ViewRows shape;
  ViewRows walked;  // the rows that threads walk over: those of x, or windows
  ImageShapeOf image;
  ChannelTiling tiling;  // over `walked`
  void* d_x;
  int accumulate;
  const void *d_y, *d_y_second, *x, *dropped;
  float kept_factor;
  BatchNormParameters bn;
  float *d_gamma, *d_beta;
  float* partial;      // [V, row_blocks, 2, C]: sum(d_z), sum(d_z (x - mean))
  float* means;        // [V, 2, C]: mean(d_z), mean(d_z x_hat) / deviation
  unsigned* counters;  // [channel_blocks]
};

// Of a view.
__host__ __device__ inline std::int64_t images_of(const Task& task) {
  return task.shape.rows / (std::int64_t{task.image.height} * task.image.width);
}

// One view's tensors, at a thread's channels.
template <typename T, int kVec>
struct View {
  const T *x, *d_y, *d_y_second, *dropped;

  __device__ View(const Task& task, const ChannelThread<kVec>& thread, std::int64_t d_y_rows) {
    const int channels = task.shape.channels;
    const std::int64_t in = std::int64_t{thread.view} * task.shape.rows * channels + thread.channel;
    const std::int64_t out = std::int64_t{thread.view} * d_y_rows * channels + thread.channel;
    x = static_cast<const T*>(task.x) + in;
    d_y = static_cast<const T*>(task.d_y) + out;
    d_y_second = task.d_y_second == nullptr ? nullptr : static_cast<const T*>(task.d_y_second) + out;
    dropped = task.dropped == nullptr ? nullptr : static_cast<const T*>(task.dropped) + in;
  }
};

template <typename T, int kVec>
__device__ T* d_x_of(const Task& task, const ChannelThread<kVec>& thread) {
  return static_cast<T*>(task.d_x) + std::int64_t{thread.view} * task.shape.rows * task.shape.channels +
         thread.channel;
}

// What is read of a row to know its x and d_z.
template <typename T, int kVec>
struct RowInputs {
  Vector<T, kVec> x = {}, d_y = {};

  template <Pool kPool>
  __device__ void fetch(std::int64_t row, const Task& task, const View<T, kVec>& view) {
    const int channels = task.shape.channels;
    x = load_vector<kVec>(view.x + row * channels);
    if constexpr (kPool == Pool::global_average) {
      const std::int64_t pixels = std::int64_t{task.image.height} * task.image.width;
      d_y = load_vector<kVec>(view.d_y + row / pixels * channels);
    } else {
      d_y = load_vector<kVec>(view.d_y + row * channels);
    }
  }

  // The second gradient and dropout are rare: they are read here, or their registers would be missed where
  // there are none.
  template <Pool kPool>
  __device__ void unpack_all(float (&x_values)[kVec], float (&d_z)[kVec], std::int64_t row, const Task& task,
                             const View<T, kVec>& view, const Normaliser<kVec>& normalise) const {
    unpack(x_values, x);
    unpack(d_z, d_y);
    if constexpr (kPool == Pool::global_average) {
      const auto pixels = static_cast<float>(task.image.height * task.image.width);
      for (int i = 0; i < kVec; ++i) d_z[i] /= pixels;
    } else {
      if (view.d_y_second != nullptr) {
        float second[kVec];
        load(second, view.d_y_second + row * task.shape.channels);
        for (int i = 0; i < kVec; ++i) d_z[i] += second[i];
      }
      if (view.dropped != nullptr) {  // a > 0 exactly where ReLU and dropout let x through
        float a[kVec];
        load(a, view.dropped + row * task.shape.channels);
        for (int i = 0; i < kVec; ++i) d_z[i] = a[i] > 0 ? d_z[i] * task.kept_factor : 0.0F;
        return;
      }
    }
    for (int i = 0; i < kVec; ++i) {
      if (!(normalise(i, x_values[i]) > 0)) d_z[i] = 0;
    }
  }
};

// Ends a reduction: each block leaves its sums, and the last block of these channels makes of them what
// apply() reads, and the parameters' gradients. shared: kTileThreads * kVec.
template <int kVec>
__device__ void finish_sums(const Task& task, const ChannelThread<kVec>& thread, float (&sum)[kVec],
                            float (&product)[kVec], double* shared) {
  const int channels = task.shape.channels;
  sum_over_row_lanes(sum, task.tiling, thread.row_lane, reinterpret_cast<float*>(shared));
  sum_over_row_lanes(product, task.tiling, thread.row_lane, reinterpret_cast<float*>(shared));
  const bool first_lane = thread.has_channel && thread.row_lane == 0;
  const std::int64_t of_view = std::int64_t{task.tiling.row_blocks} * 2 * channels;
  if (first_lane) {
    float* const partial =
        task.partial + thread.view * of_view + std::int64_t{blockIdx.x} * 2 * channels + thread.channel;
    for (int i = 0; i < kVec; ++i) {
      partial[i] = sum[i];
      partial[channels + i] = product[i];
    }
  }
  if (!is_last_block(task.counters + blockIdx.z, gridDim.x * gridDim.y)) return;
  const double inverse_n = 1 / rows_of_stats(task.bn, task.shape);
  for (int k = 0; k < 2; ++k) {
    double total[kVec] = {}, sums[kVec];
    for (int view = 0; view < task.shape.views; ++view) {
      sum_over_blocks(sums, task.partial + view * of_view + std::int64_t{k} * channels + thread.channel,
                      std::int64_t{2} * channels, task.tiling.row_blocks, thread.has_channel, task.tiling,
                      thread.row_lane, shared);
      if (!first_lane) continue;
      float* const means = task.means + (std::int64_t{view} * 2 + k) * channels + thread.channel;
      for (int i = 0; i < kVec; ++i) {
        const double inverse_deviation =
            k == 0 ? 1.0 : ChannelNorm(task.bn, task.shape, view, thread.channel + i).inverse_deviation;
        const double sum_of_hat = sums[i] * inverse_deviation;
        means[i] = static_cast<float>(sum_of_hat * inverse_n * inverse_deviation);
        total[i] += sum_of_hat;
      }
    }
    if (!first_lane) continue;
    float* const gradient = (k == 0 ? task.d_beta : task.d_gamma) + thread.channel;
    for (int i = 0; i < kVec; ++i) gradient[i] = static_cast<float>(total[i]);
  }
}

// Cost "batch_norm_backward reduce" of a value of x: 2 S bytes, 8 operations; S bytes more for each of the
// second gradient and dropout; behind an average, d_y is smaller.
template <typename T, int kVec, Pool kPool>
__global__ void __launch_bounds__(kTileThreads, 2) reduce(Task task) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(float, numbers);
  DPLL_SHARED(double, shared, kTileThreads* kVec);
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  const Normaliser<kVec> normalise = shared_normaliser(task.bn, task.shape, task.tiling, thread, numbers);
  const View<T, kVec> view(task, thread, kPool == Pool::none ? task.shape.rows : images_of(task));
  float sum[kVec] = {}, product[kVec] = {};
  constexpr int kAtOnce = kPool == Pool::none ? 2 : 1;
  RowInputs<T, kVec> inputs[kAtOnce];
  for_rows<kAtOnce>(
      thread, task.shape.rows,
      [&](int i, std::int64_t row) { inputs[i].template fetch<kPool>(row, task, view); },
      [&](int i, std::int64_t row) {
        float x[kVec], d_z[kVec];
        inputs[i].template unpack_all<kPool>(x, d_z, row, task, view, normalise);
        for (int c = 0; c < kVec; ++c) {
          sum[c] += d_z[c];
          product[c] = fmaf(d_z[c], x[c] - normalise.mean.v[c], product[c]);
        }
      });
  finish_sums(task, thread, sum, product, shared);
}

// The same from sums of each view that are there already. A thread a channel.
//
// Cost "batch_norm_backward merge_views" of a channel of a view: 24 bytes, 8 operations; in float64.
__global__ void merge_views(Task task, const float* view_d_gamma, const float* view_d_beta) {
  wait_for_previous_kernel();
  const int channel = static_cast<int>(blockIdx.x) * kMergeLanes + static_cast<int>(threadIdx.x);
  const int channels = task.shape.channels;
  if (channel >= channels) return;
  const double n = rows_of_stats(task.bn, task.shape);
  double gamma_sum = 0, beta_sum = 0;
  for (int view = 0; view < task.shape.views; ++view) {
    const double sum = view_d_beta[std::int64_t{view} * channels + channel],
                 product = view_d_gamma[std::int64_t{view} * channels + channel];
    const ChannelNorm norm(task.bn, task.shape, view, channel);
    float* const means = task.means + std::int64_t{view} * 2 * channels + channel;
    means[0] = static_cast<float>(sum / n);
    means[channels] = static_cast<float>(product / n * static_cast<double>(norm.inverse_deviation));
    beta_sum += sum;
    gamma_sum += product;
  }
  task.d_gamma[channel] = static_cast<float>(gamma_sum);
  task.d_beta[channel] = static_cast<float>(beta_sum);
}

// What apply() needs of a thread's channels besides.
template <int kVec>
struct Means {
  Vector<float, kVec> mean{}, slope{};

  __device__ Means(const Task& task, const ChannelThread<kVec>& thread) {
    if (!thread.has_channel) return;
    const float* const means =
        task.means + std::int64_t{thread.view} * 2 * task.shape.channels + thread.channel;
    mean = load_vector<kVec>(means);
    slope = load_vector<kVec>(means + task.shape.channels);
  }
  // d_x, added to `result`.
  __device__ void add(float (&result)[kVec], const float (&x)[kVec], const float (&d_z)[kVec],
                      const Normaliser<kVec>& normalise) const {
    for (int i = 0; i < kVec; ++i) {
      const float centred = d_z[i] - mean.v[i] - (x[i] - normalise.mean.v[i]) * slope.v[i];
      result[i] = fmaf(normalise.scale.v[i], centred, result[i]);
    }
  }
};

// Cost "batch_norm_backward apply" of a value of x: 3 S bytes, 10 operations; S bytes more to accumulate, and
// as in reduce.
template <typename T, int kVec, Pool kPool>
__global__ void __launch_bounds__(kTileThreads, 2) apply(Task task) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(float, numbers);
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  const Normaliser<kVec> normalise = shared_normaliser(task.bn, task.shape, task.tiling, thread, numbers);
  const Means<kVec> means(task, thread);
  const View<T, kVec> view(task, thread, kPool == Pool::none ? task.shape.rows : images_of(task));
  T* const d_x = d_x_of<T>(task, thread);
  const int channels = task.shape.channels;
  constexpr int kAtOnce = kPool == Pool::none ? 2 : 1;
  RowInputs<T, kVec> inputs[kAtOnce];
  for_rows<kAtOnce>(
      thread, task.shape.rows,
      [&](int i, std::int64_t row) { inputs[i].template fetch<kPool>(row, task, view); },
      [&](int i, std::int64_t row) {
        float x[kVec], d_z[kVec], result[kVec] = {};
        inputs[i].template unpack_all<kPool>(x, d_z, row, task, view, normalise);
        if (task.accumulate != 0) load(result, d_x + row * channels);
        means.add(result, x, d_z, normalise);
        store(d_x + row * channels, result);
      });
}

// ---- behind a max pooling

// The pixels of a window; those of an odd last row or column are in no pooled window, whose gradient is zero.
struct Window {
  std::int64_t first;      // row of x of its first pixel
  std::int64_t pooled;     // row of y
  int pixels_right, down;  // 1 or 2
  int width;

  __device__ Window(const Task& task, std::int64_t index) {
    const int across = (task.image.width + 1) / 2, high = (task.image.height + 1) / 2;
    const std::int64_t image = index / (std::int64_t{high} * across);
    const int at = static_cast<int>(index % (std::int64_t{high} * across)), h = at / across, w = at % across;
    width = task.image.width;
    first = (image * task.image.height + std::int64_t{2} * h) * width + 2 * w;
    pooled = (image * (task.image.height / 2) + h) * (width / 2) + w;
    pixels_right = 2 * w + 1 < width ? 2 : 1;
    down = 2 * h + 1 < task.image.height ? 2 : 1;
  }
  __device__ bool is_pooled() const { return pixels_right == 2 && down == 2; }
  __device__ bool has(int k) const { return k / 2 < down && k % 2 < pixels_right; }
  __device__ std::int64_t row(int k) const { return first + k / 2 * width + k % 2; }
};

// A window's pixels, and which of them gets the gradient of a channel.
template <typename T, int kVec>
struct WindowInputs {
  Vector<T, kVec> x[4] = {}, d_y = {};

  __device__ void fetch(const Window& window, int channels, const View<T, kVec>& view) {
    DPLL_UNROLL
    for (int k = 0; k < 4; ++k) {
      if (window.has(k)) x[k] = load_vector<kVec>(view.x + window.row(k) * channels);
    }
    if (window.is_pooled()) d_y = load_vector<kVec>(view.d_y + window.pooled * channels);
  }

  // The gradient of the largest value, and in `chosen` the pixel that has it, the first one of those that are
  // equal; -1 where ReLU lets nothing through.
  __device__ void choose(float (&d_z)[kVec], int (&chosen)[kVec], const Window& window,
                         const Normaliser<kVec>& normalise) const {
    for (int c = 0; c < kVec; ++c) chosen[c] = -1;
    for (int c = 0; c < kVec; ++c) d_z[c] = 0;
    if (!window.is_pooled()) return;
    float largest[kVec] = {}, values[kVec];
    DPLL_UNROLL
    for (int k = 0; k < 4; ++k) {
      unpack(values, x[k]);
      for (int c = 0; c < kVec; ++c) {
        const float z = normalise(c, values[c]);
        if (z > largest[c]) {
          largest[c] = z;
          chosen[c] = k;
        }
      }
    }
    unpack(d_z, d_y);
  }
};

// Cost "batch_norm_backward max reduce" of a value of x: 1.25 S bytes, 6 operations.
template <typename T, int kVec>
__global__ void __launch_bounds__(kTileThreads, 2) reduce_max(Task task) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(float, numbers);
  DPLL_SHARED(double, shared, kTileThreads* kVec);
  const ChannelThread<kVec> thread(task.tiling, task.walked);
  const Normaliser<kVec> normalise = shared_normaliser(task.bn, task.shape, task.tiling, thread, numbers);
  const View<T, kVec> view(task, thread, images_of(task) * (task.image.height / 2) * (task.image.width / 2));
  float sum[kVec] = {}, product[kVec] = {};
  WindowInputs<T, kVec> inputs;
  for_rows<1>(
      thread, task.walked.rows,
      [&](int, std::int64_t row) { inputs.fetch(Window(task, row), task.shape.channels, view); },
      [&](int, std::int64_t row) {
        float d_z[kVec], values[kVec];
        int chosen[kVec];
        inputs.choose(d_z, chosen, Window(task, row), normalise);
        DPLL_UNROLL
        for (int k = 0; k < 4; ++k) {
          unpack(values, inputs.x[k]);
          for (int c = 0; c < kVec; ++c) {
            if (chosen[c] != k) continue;
            sum[c] += d_z[c];
            product[c] = fmaf(d_z[c], values[c] - normalise.mean.v[c], product[c]);
          }
        }
      });
  finish_sums(task, thread, sum, product, shared);
}

// Cost "batch_norm_backward max apply" of a value of x: 2.25 S bytes, 9 operations.
template <typename T, int kVec>
__global__ void __launch_bounds__(kTileThreads, 2) apply_max(Task task) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(float, numbers);
  const ChannelThread<kVec> thread(task.tiling, task.walked);
  const Normaliser<kVec> normalise = shared_normaliser(task.bn, task.shape, task.tiling, thread, numbers);
  const Means<kVec> means(task, thread);
  const View<T, kVec> view(task, thread, images_of(task) * (task.image.height / 2) * (task.image.width / 2));
  T* const d_x = d_x_of<T>(task, thread);
  WindowInputs<T, kVec> inputs;
  for_rows<1>(
      thread, task.walked.rows,
      [&](int, std::int64_t row) { inputs.fetch(Window(task, row), task.shape.channels, view); },
      [&](int, std::int64_t row) {
        const Window window(task, row);
        float d_y[kVec];
        int chosen[kVec];
        inputs.choose(d_y, chosen, window, normalise);
        DPLL_UNROLL
        for (int k = 0; k < 4; ++k) {
          if (!window.has(k)) continue;
          float x[kVec], d_z[kVec], result[kVec] = {};
          unpack(x, inputs.x[k]);
          for (int c = 0; c < kVec; ++c) d_z[c] = chosen[c] == k ? d_y[c] : 0.0F;
          means.add(result, x, d_z, normalise);
          store(d_x + window.row(k) * task.shape.channels, result);
        }
      });
}

// ---- launches

template <typename T, int kVec, Pool kPool>
void run(Task task, const BatchNormBackwardCall& call, Stream stream) {
  task.walked = task.shape;
  double d_y_values = static_cast<double>(task.shape.views) * task.shape.channels;
  if constexpr (kPool == Pool::max2) {
    const std::int64_t images = images_of(task);
    task.walked.rows = images * ((task.image.height + 1) / 2) * ((task.image.width + 1) / 2);
    d_y_values *= static_cast<double>(images * (task.image.height / 2) * (task.image.width / 2));
  } else if constexpr (kPool == Pool::global_average) {
    d_y_values *= static_cast<double>(images_of(task));
  } else {
    const int read = 1 + (task.d_y_second != nullptr ? 1 : 0) + (task.dropped != nullptr ? 1 : 0);
    d_y_values *= static_cast<double>(task.shape.rows) * read;
  }
  task.tiling = channel_tiling(task.walked, kVec);
  const double values = static_cast<double>(task.shape.views * task.shape.rows) * task.shape.channels;
  const auto shape = [&](double of_x) {
    return task.tiling.launch(task.shape.views, (of_x * values + d_y_values) * sizeof(T),
                              normaliser_bytes<kVec>(task.tiling));
  };
  if (call.view_d_gamma != nullptr) {
    launch("batch_norm_backward merge_views", merge_views,
           LaunchShape{{blocks_for(task.shape.channels, kMergeLanes), 1, 1},
                       kMergeLanes,
                       0,
                       24.0 * task.shape.views * task.shape.channels},
           stream, task, call.view_d_gamma, call.view_d_beta);
  } else if constexpr (kPool == Pool::max2) {
    launch("batch_norm_backward max reduce", reduce_max<T, kVec>, shape(1), stream, task);
  } else {
    launch("batch_norm_backward reduce", reduce<T, kVec, kPool>, shape(1), stream, task);
  }
  if (task.d_x == nullptr) return;
  if (call.share) call.share(task.means, std::int64_t{task.shape.views} * 2 * task.shape.channels);
  const LaunchShape written = shape(task.accumulate != 0 ? 3 : 2);
  if constexpr (kPool == Pool::max2) {
    launch("batch_norm_backward max apply", apply_max<T, kVec>, written, stream, task);
  } else {
    launch("batch_norm_backward apply", apply<T, kVec, kPool>, written, stream, task);
  }
}

std::size_t partial_bytes(const ViewRows& shape) {
  return static_cast<std::size_t>(kMostRowBlocks) * static_cast<std::size_t>(shape.views) * 2 *
         static_cast<std::size_t>(shape.channels) * sizeof(float);
}

}  // namespace

std::size_t batch_norm_backward_workspace(const ViewRows& shape) {
  return partial_bytes(shape) +
         static_cast<std::size_t>(shape.views) * 2 * static_cast<std::size_t>(shape.channels) * sizeof(float);
}

void batch_norm_backward(const BatchNormBackwardCall& call, Stream stream) {
  auto* const workspace = static_cast<unsigned char*>(call.workspace);
  Task task{};
  task.shape = call.shape;
  task.image = call.image;
  task.d_x = call.d_x;
  task.accumulate = call.accumulate ? 1 : 0;
  task.d_y = call.d_y;
  task.d_y_second = call.d_y_second;
  task.x = call.x;
  task.dropped = call.dropout > 0 ? call.dropped : nullptr;
  task.kept_factor = static_cast<float>(1 / (1 - call.dropout));
  task.bn = call.bn;
  task.d_gamma = call.d_gamma;
  task.d_beta = call.d_beta;
  task.partial = reinterpret_cast<float*>(workspace);
  task.means = reinterpret_cast<float*>(workspace + partial_bytes(call.shape));
  task.counters = call.counters;
  for_type_and_vector(call.type, call.shape.channels, [&](auto element, auto vec) {
    using T = decltype(element);
    constexpr int kVec = vec;
    if (call.pool == Pool::none) {
      run<T, kVec, Pool::none>(task, call, stream);
    } else if (call.pool == Pool::max2) {
      run<T, kVec, Pool::max2>(task, call, stream);
    } else {
      run<T, kVec, Pool::global_average>(task, call, stream);
    }
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
