// Every block computes the numbers of its channels once, in shared memory. The running statistics are a
// block's beside them, so they cost no launch of their own.
#include "batch_norm.h"
#include "dpll/core/philox.h"
#include "normalise.cuh"
#include "running_statistics.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

struct Task {
  ViewRows in, out;  // rows of x and of y
  ImageShapeOf image;
  ChannelTiling tiling;  // over out
  void* y;
  const void* x;
  BatchNormParameters bn;
  DropoutDraws dropout;
  std::uint32_t drop_below;  // a draw of 24 bits below it drops
  float kept_factor;
};

// By comparing: an index that the compiler does not know would put the words into memory.
__device__ inline std::uint32_t word_of(const Philox4& draws, std::int64_t index) {
  const std::uint32_t low = index == 0 ? draws.v[0] : draws.v[1], high = index == 2 ? draws.v[2] : draws.v[3];
  return index < 2 ? low : high;
}

// Elements of an image are counted over [H, W, C]; draw element % 4 of block element / 4 decides.
template <int kVec>
__device__ void drop(float (&a)[kVec], const Task& task, int view, std::int64_t row, int channel) {
  const std::int64_t pixels = std::int64_t{task.image.height} * task.image.width;
  const std::int64_t image = row / pixels, element = row % pixels * task.in.channels + channel;
  const StepState& step = *task.dropout.step;
  const std::int64_t position = std::int64_t{step.first} + task.dropout.ahead + image;
  const auto sample =
      static_cast<std::uint32_t>(task.dropout.order == nullptr ? position : task.dropout.order[position]);
  const std::uint32_t purpose_view =
      static_cast<std::uint32_t>(Purpose::dropout) | (static_cast<std::uint32_t>(view) << 16);
  Philox4 draws{};
  for (int i = 0; i < kVec; ++i) {
    const std::int64_t at = element + i;
    if (i == 0 || at % 4 == 0) {
      draws = philox4x32(step.seed, (task.dropout.site << 20) + static_cast<std::uint32_t>(at / 4), sample,
                         step.epoch, purpose_view);
    }
    const std::uint32_t word = kVec > 1 ? draws.v[i % 4] : word_of(draws, at % 4);
    a[i] = (word >> 8) >= task.drop_below ? a[i] * task.kept_factor : 0.0F;
  }
}

// Where the windows of output row `row` of a view begin: the row of x of its first pixel.
__device__ inline std::int64_t first_of_window(const Task& task, std::int64_t row) {
  const int width = task.image.width / 2, height = task.image.height / 2;
  const std::int64_t image = row / (std::int64_t{height} * width);
  const int pixel = static_cast<int>(row % (std::int64_t{height} * width));
  return (image * task.image.height + pixel / width * 2) * task.image.width + pixel % width * 2;
}

// Cost "batch_norm_forward" of a value of x: 2 S bytes, 4 operations; dropout draws a Philox block for four
// values.
template <typename T, int kVec>
__global__ void __launch_bounds__(kTileThreads, 2) forward(Task task) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(float, numbers);
  const bool training = task.bn.stats != nullptr;
  if (is_running_block(training)) return update_running_of_block<kVec>(task.bn, task.in, task.tiling);
  const ChannelThread<kVec> thread(task.tiling, task.out, row_block_of(training));
  const Normaliser<kVec> normalise = shared_normaliser(task.bn, task.in, task.tiling, thread, numbers);
  const int channels = task.in.channels;
  const std::int64_t offset = std::int64_t{thread.view} * task.in.rows * channels + thread.channel;
  const T* const x = static_cast<const T*>(task.x) + offset;
  T* const y = static_cast<T*>(task.y) + offset;
  constexpr int kAtOnce = 4;
  Vector<T, kVec> of_x[kAtOnce] = {};
  for_rows<kAtOnce>(
      thread, task.out.rows,
      [&](int i, std::int64_t row) { of_x[i] = load_vector<kVec>(x + row * channels); },
      [&](int i, std::int64_t row) {
        float a[kVec];
        unpack(a, of_x[i]);
        for (int c = 0; c < kVec; ++c) a[c] = relu(normalise(c, a[c]));
        if (task.drop_below != 0) drop(a, task, thread.view, row, thread.channel);
        store(y + row * channels, a);
      });
}

// A thread a window and kVec channels.
// Cost "batch_norm_forward max" of a value of x: 1.25 S bytes, 5 operations.
template <typename T, int kVec>
__global__ void __launch_bounds__(kTileThreads, 2) forward_max(Task task) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(float, numbers);
  const bool training = task.bn.stats != nullptr;
  if (is_running_block(training)) return update_running_of_block<kVec>(task.bn, task.in, task.tiling);
  const ChannelThread<kVec> thread(task.tiling, task.out, row_block_of(training));
  const Normaliser<kVec> normalise = shared_normaliser(task.bn, task.in, task.tiling, thread, numbers);
  const int channels = task.in.channels;
  const T* const x =
      static_cast<const T*>(task.x) + std::int64_t{thread.view} * task.in.rows * channels + thread.channel;
  T* const y =
      static_cast<T*>(task.y) + std::int64_t{thread.view} * task.out.rows * channels + thread.channel;
  Vector<T, kVec> window[4] = {};
  for_rows<1>(
      thread, task.out.rows,
      [&](int, std::int64_t row) {
        const std::int64_t first = first_of_window(task, row);
        DPLL_UNROLL
        for (int k = 0; k < 4; ++k) {
          window[k] = load_vector<kVec>(x + (first + k / 2 * task.image.width + k % 2) * channels);
        }
      },
      [&](int, std::int64_t row) {
        float result[kVec] = {}, a[kVec];
        DPLL_UNROLL
        for (int k = 0; k < 4; ++k) {
          unpack(a, window[k]);
          for (int c = 0; c < kVec; ++c) {
            a[c] = relu(normalise(c, a[c]));
            if (k == 0 || a[c] > result[c] || a[c] != a[c]) result[c] = a[c];  // NaN stays NaN
          }
        }
        store(y + row * channels, result);
      });
}

// A block an image and the channels of `lanes` threads; the row lanes share the pixels.
// Cost "batch_norm_forward average" of a value of x: S bytes, 5 operations.
template <typename T, int kVec>
__global__ void __launch_bounds__(kTileThreads, 2) forward_average(Task task) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(float, numbers);
  DPLL_SHARED(float, shared, kTileThreads* kVec);
  const bool training = task.bn.stats != nullptr;
  if (is_running_block(training)) return update_running_of_block<kVec>(task.bn, task.in, task.tiling);
  const ChannelThread<kVec> thread(task.tiling, task.in, 0);
  const Normaliser<kVec> normalise = shared_normaliser(task.bn, task.in, task.tiling, thread, numbers);
  const int channels = task.in.channels;
  const std::int64_t pixels = std::int64_t{task.image.height} * task.image.width,
                     image = std::int64_t{thread.view} * task.out.rows + row_block_of(training);
  const T* const x = static_cast<const T*>(task.x) + image * pixels * channels + thread.channel;
  constexpr int kAtOnce = 4;
  Vector<T, kVec> of_x[kAtOnce] = {};
  float sum[kVec] = {};
  for_rows<kAtOnce>(
      thread, pixels, [&](int i, std::int64_t pixel) { of_x[i] = load_vector<kVec>(x + pixel * channels); },
      [&](int i, std::int64_t) {
        float a[kVec];
        unpack(a, of_x[i]);
        for (int c = 0; c < kVec; ++c) sum[c] += relu(normalise(c, a[c]));
      });
  sum_over_row_lanes(sum, task.tiling, thread.row_lane, shared);
  if (!thread.has_channel || thread.row_lane != 0) return;
  for (int c = 0; c < kVec; ++c) sum[c] /= static_cast<float>(pixels);
  store(static_cast<T*>(task.y) + image * channels + thread.channel, sum);
}

// As channel_tiling(), of one image.
ChannelTiling image_tiling(const Task& task, int vec) {
  ChannelTiling tiling =
      channel_tiling({1, std::int64_t{task.image.height} * task.image.width, task.in.channels}, vec);
  tiling.row_blocks = 1;
  return tiling;
}

double values_of(const ViewRows& shape) {
  return static_cast<double>(shape.views * shape.rows) * shape.channels;
}

}  // namespace

void batch_norm_forward(const BatchNormForwardCall& call, Stream stream) {
  Task task{};
  task.in = task.out = call.shape;
  task.image = call.image;
  task.y = call.y;
  task.x = call.x;
  task.bn = call.bn;
  task.dropout = call.dropout;
  task.drop_below = static_cast<std::uint32_t>(ceil(call.dropout.p * 0x1p24));
  task.kept_factor = static_cast<float>(1 / (1 - call.dropout.p));
  const std::int64_t pixels = std::int64_t{call.image.height} * call.image.width;
  const std::int64_t images = call.shape.rows / pixels;
  if (call.pool == Pool::max2) {
    task.out.rows = images * (call.image.height / 2) * (call.image.width / 2);
  } else if (call.pool == Pool::global_average) {
    task.out.rows = images;
  }
  const bool training = call.bn.stats != nullptr;
  const double bytes = (values_of(task.in) + values_of(task.out)) * static_cast<double>(size_of(call.type));
  for_type_and_vector(call.type, call.shape.channels, [&](auto element, auto vec) {
    using T = decltype(element);
    constexpr int kVec = vec;
    task.tiling =
        call.pool == Pool::global_average ? image_tiling(task, kVec) : channel_tiling(task.out, kVec, 1024);
    LaunchShape shape = task.tiling.launch(call.shape.views, bytes, normaliser_bytes<kVec>(task.tiling));
    if (call.pool == Pool::none) {
      launch("batch_norm_forward", forward<T, kVec>, with_running_block(shape, training), stream, task);
    } else if (call.pool == Pool::max2) {
      launch("batch_norm_forward max", forward_max<T, kVec>, with_running_block(shape, training), stream,
             task);
    } else {
      shape.blocks.x = static_cast<unsigned>(images);
      launch("batch_norm_forward average", forward_average<T, kVec>, with_running_block(shape, training),
             stream, task);
    }
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
