// Two passes over x and the gradient, with a small merge between them: the sums that the mean and variance
// contribute, then d_x. With d_z the gradient of batch norm's output, x_hat = (x - mean) / deviation and
// means over the n values of a channel in a view:
//   d_beta = sum over views of sum(d_z),  d_gamma = sum over views of sum(d_z x_hat)
//   d_x = gamma / deviation * (d_z - mean(d_z) - x_hat mean(d_z x_hat))
// Source: Ioffe & Szegedy 2015.
#include "batch_norm.h"
#include "normalise.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kRowsPerThread = 16, kMaxRowBlocks = 256;
constexpr int kMergeLanes = 32, kMergeStrips = 8;

struct Task {
  ViewRows shape;
  ImageShapeOf image;
  ChannelTiling tiling;
  void* d_x;
  int accumulate;
  const void *d_y, *d_y_second, *x, *dropped;
  float kept_factor;
  BatchNormParameters bn;
  float* partial;  // [V, row_blocks, 2, C]: sum(d_z), sum(d_z x_hat)
  float* means;    // [V, 2, C]: mean(d_z), mean(d_z x_hat) / deviation
};

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

// Rows of y in a view.
template <Pool kPool>
__host__ __device__ std::int64_t pooled_rows(const ViewRows& shape, const ImageShapeOf& image) {
  const std::int64_t images = shape.rows / (std::int64_t{image.height} * image.width);
  if (kPool == Pool::global_average) return images;
  return kPool == Pool::max2 ? images * (image.height / 2) * (image.width / 2) : shape.rows;
}

// d_z at row `row` of the view, whose x is given.
template <Pool kPool, typename T, int kVec>
__device__ void output_gradient(float (&d_z)[kVec], const float (&x)[kVec], std::int64_t row,
                                const Task& task, const View<T, kVec>& view,
                                const Normaliser<kVec>& normalise) {
  const int channels = task.shape.channels;
  if constexpr (kPool == Pool::none) {
    load(d_z, view.d_y + row * channels);
    if (view.d_y_second != nullptr) {
      float second[kVec];
      load(second, view.d_y_second + row * channels);
      for (int i = 0; i < kVec; ++i) d_z[i] += second[i];
    }
    if (view.dropped != nullptr) {  // a > 0 exactly where ReLU and dropout let x through
      float a[kVec];
      load(a, view.dropped + row * channels);
      for (int i = 0; i < kVec; ++i) d_z[i] = a[i] > 0 ? d_z[i] * task.kept_factor : 0.0F;
      return;
    }
  } else if constexpr (kPool == Pool::global_average) {
    const std::int64_t pixels = std::int64_t{task.image.height} * task.image.width;
    load(d_z, view.d_y + row / pixels * channels);
    for (int i = 0; i < kVec; ++i) d_z[i] /= static_cast<float>(pixels);
  } else {
    const int width = task.image.width, height = task.image.height;
    const std::int64_t image = row / (std::int64_t{height} * width);
    const int pixel = static_cast<int>(row % (std::int64_t{height} * width));
    const int h = pixel / width, w = pixel % width;
    for (int i = 0; i < kVec; ++i) d_z[i] = 0;
    if (h / 2 >= height / 2 || w / 2 >= width / 2) return;  // an odd last row or column
    load(d_z, view.d_y + ((image * (height / 2) + h / 2) * (width / 2) + w / 2) * channels);
    // The gradient goes to the first of the window's largest values.
    const int own = h % 2 * 2 + w % 2;
    const std::int64_t first = (image * height + h / 2 * 2) * width + w / 2 * 2;
    for (int k = 0; k < 4; ++k) {
      if (k == own) continue;
      float other[kVec];
      load(other, view.x + (first + k / 2 * width + k % 2) * channels);
      for (int i = 0; i < kVec; ++i) {
        const float a = relu(normalise(i, other[i])), mine = relu(normalise(i, x[i]));
        if (k < own ? a >= mine : a > mine) d_z[i] = 0;
      }
    }
  }
  for (int i = 0; i < kVec; ++i) {
    if (!(normalise(i, x[i]) > 0)) d_z[i] = 0;
  }
}

// Cost "batch_norm_backward reduce" of a value of x: 2 S bytes, 9 operations; S bytes more for each of the
// second gradient and dropout; pooled, d_y is smaller.
template <typename T, int kVec, Pool kPool>
__global__ void reduce(Task task) {
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  const int channels = task.shape.channels;
  float sum[kVec] = {}, product[kVec] = {};
  if (thread.has_channel) {
    const Normaliser<kVec> normalise(task.bn, task.shape, thread.view, thread.channel);
    const View<T, kVec> view(task, thread, pooled_rows<kPool>(task.shape, task.image));
    for (std::int64_t row = thread.first; row < task.shape.rows; row += thread.step) {
      float x[kVec], d_z[kVec];
      load(x, view.x + row * channels);
      output_gradient<kPool>(d_z, x, row, task, view, normalise);
      for (int i = 0; i < kVec; ++i) {
        sum[i] += d_z[i];
        product[i] = fmaf(d_z[i], (x[i] - normalise.mean[i]) * normalise.inverse_deviation[i], product[i]);
      }
    }
  }
  sum_over_row_lanes(sum, task.tiling, thread.row_lane);
  sum_over_row_lanes(product, task.tiling, thread.row_lane);
  if (!thread.has_channel || thread.row_lane != 0) return;
  float* const partial =
      task.partial + (std::int64_t{thread.view} * task.tiling.row_blocks + blockIdx.x) * 2 * channels;
  for (int i = 0; i < kVec; ++i) {
    partial[thread.channel + i] = sum[i];
    partial[channels + thread.channel + i] = product[i];
  }
}

// Sums over the row blocks of every view in turn, in double. Block: kMergeLanes channels x kMergeStrips
// threads that share the blocks.
// Cost "batch_norm_backward merge" of a partial sum: 4 bytes, 1 operation; in float64.
__global__ void merge(Task task, float* d_gamma, float* d_beta) {
  DPLL_SHARED(double, shared, 2 * kMergeLanes * kMergeStrips);
  const int lane = static_cast<int>(threadIdx.x) % kMergeLanes;
  const int strip = static_cast<int>(threadIdx.x) / kMergeLanes;
  const int channels = task.shape.channels;
  const int channel = static_cast<int>(blockIdx.x) * kMergeLanes + lane;
  double gamma_sum = 0, beta_sum = 0;
  for (int view = 0; view < task.shape.views; ++view) {
    double sum = 0, product = 0;
    for (int block = strip; block < task.tiling.row_blocks && channel < channels; block += kMergeStrips) {
      const float* const partial =
          task.partial + (std::int64_t{view} * task.tiling.row_blocks + block) * 2 * channels + channel;
      sum += partial[0];
      product += partial[channels];
    }
    shared[2 * threadIdx.x] = sum;
    shared[2 * threadIdx.x + 1] = product;
    __syncthreads();
    if (strip == 0 && channel < channels) {
      for (int other = 1; other < kMergeStrips; ++other) {
        sum += shared[2 * (other * kMergeLanes + lane)];
        product += shared[2 * (other * kMergeLanes + lane) + 1];
      }
      const auto n = static_cast<double>(task.shape.rows);
      const Normaliser<1> normalise(task.bn, task.shape, view, channel);
      float* const means = task.means + std::int64_t{view} * 2 * channels + channel;
      means[0] = static_cast<float>(sum / n);
      means[channels] = static_cast<float>(product / n * static_cast<double>(normalise.inverse_deviation[0]));
      beta_sum += sum;
      gamma_sum += product;
    }
    __syncthreads();
  }
  if (strip != 0 || channel >= channels) return;
  d_gamma[channel] = static_cast<float>(gamma_sum);
  d_beta[channel] = static_cast<float>(beta_sum);
}

// The same from sums of each view that are there already. A thread a channel.
//
// Cost "batch_norm_backward merge_views" of a channel of a view: 24 bytes, 8 operations; in float64.
__global__ void merge_views(Task task, const float* view_d_gamma, const float* view_d_beta, float* d_gamma,
                            float* d_beta) {
  const int channel = static_cast<int>(blockIdx.x) * kMergeLanes + static_cast<int>(threadIdx.x);
  const int channels = task.shape.channels;
  if (channel >= channels) return;
  const auto n = static_cast<double>(task.shape.rows);
  double gamma_sum = 0, beta_sum = 0;
  for (int view = 0; view < task.shape.views; ++view) {
    const double sum = view_d_beta[std::int64_t{view} * channels + channel],
                 product = view_d_gamma[std::int64_t{view} * channels + channel];
    const Normaliser<1> normalise(task.bn, task.shape, view, channel);
    float* const means = task.means + std::int64_t{view} * 2 * channels + channel;
    means[0] = static_cast<float>(sum / n);
    means[channels] = static_cast<float>(product / n * static_cast<double>(normalise.inverse_deviation[0]));
    beta_sum += sum;
    gamma_sum += product;
  }
  d_gamma[channel] = static_cast<float>(gamma_sum);
  d_beta[channel] = static_cast<float>(beta_sum);
}

// Cost "batch_norm_backward apply" of a value of x: 3 S bytes, 10 operations; S bytes more to accumulate, and
// as in reduce.
template <typename T, int kVec, Pool kPool>
__global__ void apply(Task task) {
  const ChannelThread<kVec> thread(task.tiling, task.shape);
  if (!thread.has_channel) return;
  const int channels = task.shape.channels;
  const Normaliser<kVec> normalise(task.bn, task.shape, thread.view, thread.channel);
  const View<T, kVec> view(task, thread, pooled_rows<kPool>(task.shape, task.image));
  T* const d_x =
      static_cast<T*>(task.d_x) + std::int64_t{thread.view} * task.shape.rows * channels + thread.channel;
  float mean[kVec], slope[kVec];
  for (int i = 0; i < kVec; ++i) {
    const float* const means = task.means + std::int64_t{thread.view} * 2 * channels + thread.channel + i;
    mean[i] = means[0];
    slope[i] = means[channels];
  }
  for (std::int64_t row = thread.first; row < task.shape.rows; row += thread.step) {
    float x[kVec], d_z[kVec], result[kVec] = {};
    load(x, view.x + row * channels);
    output_gradient<kPool>(d_z, x, row, task, view, normalise);
    if (task.accumulate != 0) load(result, d_x + row * channels);
    for (int i = 0; i < kVec; ++i) {
      const float centred = d_z[i] - mean[i] - (x[i] - normalise.mean[i]) * slope[i];
      result[i] = fmaf(normalise.scale[i], centred, result[i]);
    }
    store(d_x + row * channels, result);
  }
}

template <typename T, int kVec, Pool kPool>
void run(const Task& task, const BatchNormBackwardCall& call, Stream stream) {
  const LaunchShape rows = task.tiling.launch(task.shape.views);
  const unsigned merge_blocks = blocks_for(task.shape.channels, kMergeLanes);
  if (call.view_d_gamma != nullptr) {
    launch("batch_norm_backward merge_views", merge_views, LaunchShape{{merge_blocks, 1, 1}, kMergeLanes, 0},
           stream, task, call.view_d_gamma, call.view_d_beta, call.d_gamma, call.d_beta);
  } else {
    launch("batch_norm_backward reduce", reduce<T, kVec, kPool>, rows, stream, task);
    launch("batch_norm_backward merge", merge,
           LaunchShape{{merge_blocks, 1, 1}, kMergeLanes * kMergeStrips, 0}, stream, task, call.d_gamma,
           call.d_beta);
  }
  if (task.d_x != nullptr) launch("batch_norm_backward apply", apply<T, kVec, kPool>, rows, stream, task);
}

std::size_t partial_bytes(const ViewRows& shape) {
  return static_cast<std::size_t>(kMaxRowBlocks) * static_cast<std::size_t>(shape.views) * 2 *
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
  task.partial = reinterpret_cast<float*>(workspace);
  task.means = reinterpret_cast<float*>(workspace + partial_bytes(call.shape));
  for_type_and_vector(call.type, call.shape.channels, [&](auto element, auto vec) {
    using T = decltype(element);
    constexpr int kVec = vec;
    task.tiling = channel_tiling(call.shape, kVec, kRowsPerThread, kMaxRowBlocks);
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
