// The arithmetic of draws and pixels is that of augment/view_draw.h and augment/pixel_ops.h, which the CPU
// compiles too: the uint8 image is the same to the bit.
#include "augment.h"

#include "augment/colour_draw.h"
#include "augment/pixel_ops.h"
#include "augment/policy_draw.h"
#include "augment/resize.h"
#include "augment/view_draw.h"
#include "channel_rows.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

[[maybe_unused]] constexpr int kBlocks = 3;  // on a multiprocessor at least: 80 registers, or sm_90 spills
constexpr int kVec = 8;                      // channels of a pixel that is written at once
constexpr int kThreads = 256;                // also the values of a pixel: one thread a histogram bin
constexpr int kMaxPolicyChannels = 3;

// What thread 0 draws for the block.
struct Drawn {
  ViewDraw view;
  ColourDraw colours;
  PolicyDraw policy;
};

// Shared memory of a block, after the two images. All of it is dynamic: what is static would come on top of
// it, and a block has no more than the two together.
struct Scratch {
  Drawn drawn;
  int histogram[kMaxPolicyChannels][kThreads];  // then, for equalize, pixels of a lower value
  int scan[kThreads];
  int low[kMaxPolicyChannels], high[kMaxPolicyChannels], brightest[kMaxPolicyChannels];
  unsigned luma_sum;
  std::uint8_t table[kMaxPolicyChannels][kThreads];
};

__device__ void draw(Drawn& drawn, ViewKey key, const PreparedPolicy& policy, int height, int width) {
  const ViewRecipe& recipe = policy.recipe;
  PhiloxStream stream = view_stream(key);
  drawn.view = draw_view(stream, recipe, height, width);
  drawn.policy = draw_policy(stream, policy);
  draw_colours(drawn.colours, key, recipe.jitter, recipe.grey);
  if (recipe.crop == CropKind::resized) draw_resized_crop(drawn.view, key, recipe.resized, height, width);
}

struct Block {
  ImageShape shape;
  int thread;

  __device__ int pixels() const { return shape.height * shape.width; }
};

__device__ void place(std::uint8_t* to, const std::uint8_t* from, const ViewDraw& draw, const Block& block) {
  const int channels = block.shape.channels, width = block.shape.width;
  for (int i = block.thread; i < block.pixels(); i += kThreads) {
    const int y = i / width, x = i % width;
    const std::uint8_t* const pixel =
        from + (source_y(draw, y, block.shape.height) * width + source_x(draw, x, width)) * channels;
    const bool black = in_border(draw, y, x, block.shape.height, width);
    for (int c = 0; c < channels; ++c) to[i * channels + c] = black ? std::uint8_t{0} : pixel[c];
  }
}

// `spare` takes the crop with the width of the output.
__device__ void resize_crop(std::uint8_t* to, std::uint8_t* spare, const std::uint8_t* from,
                            const ViewDraw& draw, const Block& block) {
  const int channels = block.shape.channels, width = block.shape.width;
  const std::uint8_t* const corner = from + (draw.crop_y * width + draw.crop_x) * channels;
  for (int i = block.thread; i < draw.crop_height * width; i += kThreads) {
    const int y = i / width, x = i % width;
    const ResizeTaps taps = resize_taps(draw.flip ? width - 1 - x : x, draw.crop_width, width);
    for (int c = 0; c < channels; ++c) {
      spare[i * channels + c] = resized_value(corner + y * width * channels + c, channels, taps);
    }
  }
  __syncthreads();
  for (int i = block.thread; i < block.pixels(); i += kThreads) {
    const int y = i / width, x = i % width;
    const ResizeTaps taps = resize_taps(y, draw.crop_height, block.shape.height);
    for (int c = 0; c < channels; ++c) {
      to[i * channels + c] = resized_value(spare + x * channels + c, width * channels, taps);
    }
  }
}

__device__ void blacken_box(std::uint8_t* image, const ViewDraw& draw, const Block& block) {
  const int width = block.shape.width, channels = block.shape.channels;
  for (int i = block.thread; i < block.pixels(); i += kThreads) {
    if (!in_box(draw, i / width, i % width)) continue;
    for (int c = 0; c < channels; ++c) image[i * channels + c] = 0;
  }
}

// Histograms of all channels with their lowest and highest value, for autocontrast and equalize. Ends with a
// barrier.
__device__ void count_values(Scratch& scratch, const std::uint8_t* image, const Block& block) {
  const int channels = block.shape.channels;
  for (int c = 0; c < channels; ++c) scratch.histogram[c][block.thread] = 0;
  if (block.thread < channels) {
    scratch.low[block.thread] = 255;
    scratch.high[block.thread] = 0;
  }
  __syncthreads();
  for (int i = block.thread; i < block.pixels() * channels; i += kThreads) {
    atomicAdd(&scratch.histogram[i % channels][image[i]], 1);
  }
  __syncthreads();
  for (int c = 0; c < channels; ++c) {
    if (scratch.histogram[c][block.thread] == 0) continue;
    atomicMin(&scratch.low[c], block.thread);
    atomicMax(&scratch.high[c], block.thread);
  }
  __syncthreads();
  if (block.thread < channels) {
    scratch.brightest[block.thread] = scratch.histogram[block.thread][scratch.high[block.thread]];
  }
  __syncthreads();
}

// histogram[c][value] becomes the number of pixels with a lower value. Ends with a barrier.
__device__ void sum_below(Scratch& scratch, const Block& block) {
  for (int c = 0; c < block.shape.channels; ++c) {
    int sum = scratch.histogram[c][block.thread];
    const int own = sum;
    for (int distance = 1; distance < kThreads; distance *= 2) {
      scratch.scan[block.thread] = sum;
      __syncthreads();
      if (block.thread >= distance) sum += scratch.scan[block.thread - distance];
      __syncthreads();
    }
    scratch.histogram[c][block.thread] = sum - own;
  }
  __syncthreads();
}

__device__ void sum_luma(Scratch& scratch, const std::uint8_t* image, const Block& block) {
  if (block.thread == 0) scratch.luma_sum = 0;
  __syncthreads();
  unsigned sum = 0;
  for (int i = block.thread; i < block.pixels(); i += kThreads) {
    sum += static_cast<unsigned>(luma(image + i * block.shape.channels, block.shape.channels));
  }
  atomicAdd(&scratch.luma_sum, sum);
  __syncthreads();
}

__device__ void apply_table(std::uint8_t* to, const std::uint8_t* from, const OpSetting& setting,
                            Scratch& scratch, const Block& block) {
  const int channels = block.shape.channels;
  ChannelStatistics statistics;
  if (op_needs_histogram(setting.op)) count_values(scratch, from, block);
  if (setting.op == ImageOp::equalize) sum_below(scratch, block);
  if (op_needs_luma(setting.op)) {
    sum_luma(scratch, from, block);
    statistics.grey = contrast_grey(scratch.luma_sum, block.pixels());
  }
  for (int c = 0; c < channels; ++c) {
    int below = 0;
    if (op_needs_histogram(setting.op)) {
      statistics.low = scratch.low[c];
      statistics.high = scratch.high[c];
      statistics.step = equalize_step(block.pixels(), scratch.brightest[c]);
      below = scratch.histogram[c][block.thread];
    }
    scratch.table[c][block.thread] = table_value(setting, statistics, block.thread, below);
  }
  __syncthreads();
  for (int i = block.thread; i < block.pixels() * channels; i += kThreads) {
    to[i] = scratch.table[i % channels][from[i]];
  }
}

__device__ void apply_op(std::uint8_t* to, const std::uint8_t* from, const OpSetting& setting,
                         Scratch& scratch, const Block& block) {
  if (op_is_table(setting.op)) {
    apply_table(to, from, setting, scratch, block);
    return;
  }
  const int width = block.shape.width;
  for (int i = block.thread; i < block.pixels(); i += kThreads) {
    transform_pixel(to + i * block.shape.channels, setting, from, block.shape, i / width, i % width);
  }
}

std::size_t image_bytes(const AugmentSpec& spec) {
  const std::size_t bytes = static_cast<std::size_t>(spec.height) * static_cast<std::size_t>(spec.width) *
                            static_cast<std::size_t>(spec.channels);
  return (bytes + 15) / 16 * 16;
}

// Cost "augment" of a value of a view: 1 + S bytes, 3 operations; each change of colours and operation of a
// policy is a pass in shared memory.
template <typename T>
__global__ void __launch_bounds__(kThreads, kBlocks) augment_views(AugmentTask task, int stride) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(std::uint8_t, shared);
  const AugmentSpec& spec = task.spec;
  const Block block{{spec.height, spec.width, spec.channels}, static_cast<int>(threadIdx.x)};
  std::uint8_t *image = shared, *spare = shared + stride;
  Scratch& scratch = *reinterpret_cast<Scratch*>(shared + 2 * stride);
  Drawn* const drawn = &scratch.drawn;

  const int row = static_cast<int>(blockIdx.x), view = static_cast<int>(blockIdx.y);
  const std::int64_t position = std::int64_t{task.step->first} + task.ahead + row;
  const std::int64_t sample = task.order != nullptr ? task.order[position] : position;
  const PreparedPolicy& policy = view == 0 ? *task.weak : *task.strong;
  const ViewRecipe& recipe = policy.recipe;
  if (block.thread == 0) {
    const ViewKey key{task.step->seed, task.step->epoch, static_cast<std::uint32_t>(sample),
                      static_cast<std::uint32_t>(view)};
    draw(*drawn, key, policy, spec.height, spec.width);
  }
  __syncthreads();
  const int values = block.pixels() * spec.channels;
  const std::uint8_t* const stored = task.pixels + sample * values;
  if (recipe.crop == CropKind::resized) {
    resize_crop(image, spare, stored, drawn->view, block);
  } else {
    place(image, stored, drawn->view, block);
  }
  __syncthreads();
  if (!recipe.cutout_after) blacken_box(image, drawn->view, block);
  __syncthreads();
  const int changes = drawn->colours.count;
  for (int i = 0; i < changes + drawn->policy.count; ++i) {
    const OpSetting& setting =
        i < changes ? drawn->colours.settings[i] : setting_of(policy, drawn->policy.ops[i - changes]);
    apply_op(spare, image, setting, scratch, block);
    __syncthreads();
    std::uint8_t* const before = image;
    image = spare;
    spare = before;
  }
  if (recipe.cutout_after) blacken_box(image, drawn->view, block);
  __syncthreads();
  const int written = spec.channels + spec.zero_channels;
  T* const out = static_cast<T*>(task.images) +
                 (std::int64_t{view} * spec.batch + row) * block.pixels() * std::int64_t{written};
  if (written == kVec) {
    for (int i = block.thread; i < block.pixels(); i += kThreads) {
      float pixel[kVec] = {};
      for (int c = 0; c < spec.channels; ++c) {
        pixel[c] = normalise_pixel(image[i * spec.channels + c], spec.mean.data()[c], spec.std.data()[c]);
      }
      store(out + std::int64_t{i} * kVec, pixel);
    }
    return;
  }
  for (int i = block.thread; i < block.pixels() * written; i += kThreads) {
    const int pixel = i / written, c = i % written;
    out[i] = c < spec.channels ? from_float<T>(normalise_pixel(image[pixel * spec.channels + c],
                                                               spec.mean.data()[c], spec.std.data()[c]))
                               : from_float<T>(0);
  }
}

}  // namespace

std::size_t augment_shared_bytes(const AugmentSpec& spec) {
  return 2 * image_bytes(spec) + sizeof(Scratch);
}

void augment(const AugmentTask& task, DType type, Stream stream) {
  const LaunchShape shape{{static_cast<unsigned>(task.spec.batch), static_cast<unsigned>(task.spec.views), 1},
                          kThreads,
                          augment_shared_bytes(task.spec),
                          static_cast<double>(task.spec.batch) * task.spec.views * task.spec.height *
                              task.spec.width *
                              (task.spec.channels + (task.spec.channels + task.spec.zero_channels) *
                                                        static_cast<double>(size_of(type)))};
  const int stride = static_cast<int>(image_bytes(task.spec));
  for_type(type, [&](auto element) {
    launch("augment", augment_views<decltype(element)>, shape, stream, task, stride);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
