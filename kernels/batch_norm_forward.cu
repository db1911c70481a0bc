// The running statistics are updated by the threads of the first block of view 0 (for all views, in order),
// so they cost no launch of their own.
#include "batch_norm.h"
#include "dpll/core/philox.h"
#include "normalise.cuh"
#include "running_statistics.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kRowsPerThread = 8, kMaxRowBlocks = 1024;

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
  const std::int64_t position = std::int64_t{step.first} + image;
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

// Cost "batch_norm_forward" of a value of x: 2 S bytes, 4 operations; pooled, y is smaller; dropout draws a
// Philox block for four values.
template <typename T, int kVec, Pool kPool>
__global__ void forward(Task task) {
  const ChannelThread<kVec> thread(task.tiling, task.out);
  if (!thread.has_channel) return;
  const int channels = task.in.channels;
  if (task.bn.stats != nullptr && thread.view == 0 && thread.first == 0) {
    update_running<kVec>(task.bn, task.in, thread.channel);
  }
  const Normaliser<kVec> normalise(task.bn, task.in, thread.view, thread.channel);
  const T* const x =
      static_cast<const T*>(task.x) + std::int64_t{thread.view} * task.in.rows * channels + thread.channel;
  T* const y =
      static_cast<T*>(task.y) + std::int64_t{thread.view} * task.out.rows * channels + thread.channel;
  const auto activation = [&](float(&a)[kVec], std::int64_t row) {
    load(a, x + row * channels);
    for (int i = 0; i < kVec; ++i) a[i] = relu(normalise(i, a[i]));
  };

  for (std::int64_t row = thread.first; row < task.out.rows; row += thread.step) {
    float result[kVec], a[kVec];
    if constexpr (kPool == Pool::none) {
      activation(result, row);
      if (task.drop_below != 0) drop(result, task, thread.view, row, thread.channel);
    } else if constexpr (kPool == Pool::max2) {
      const std::int64_t first = first_of_window(task, row);
      activation(result, first);
      for (int k = 1; k < 4; ++k) {
        activation(a, first + k / 2 * task.image.width + k % 2);
        for (int i = 0; i < kVec; ++i) {
          if (a[i] > result[i] || a[i] != a[i]) result[i] = a[i];  // NaN stays NaN
        }
      }
    } else {
      const std::int64_t pixels = std::int64_t{task.image.height} * task.image.width;
      for (int i = 0; i < kVec; ++i) result[i] = 0;
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        activation(a, row * pixels + pixel);
        for (int i = 0; i < kVec; ++i) result[i] += a[i];
      }
      for (int i = 0; i < kVec; ++i) result[i] /= static_cast<float>(pixels);
    }
    store(y + row * channels, result);
  }
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
  for_type_and_vector(call.type, call.shape.channels, [&](auto element, auto vec) {
    using T = decltype(element);
    constexpr int kVec = vec;
    const int rows_per_thread = call.pool == Pool::none ? kRowsPerThread : 1;
    task.tiling = channel_tiling(task.out, kVec, rows_per_thread, kMaxRowBlocks);
    const auto kernel = call.pool == Pool::none   ? forward<T, kVec, Pool::none>
                        : call.pool == Pool::max2 ? forward<T, kVec, Pool::max2>
                                                  : forward<T, kVec, Pool::global_average>;
    launch("batch_norm_forward", kernel, task.tiling.launch(call.shape.views), stream, task);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
