// y = pool(relu(bn(x))) on the CPU; with a shortcut see block_join.cpp, without batch norm
// plain_activation.cpp.
//
// Saved for backward: scale and shift [V, C] with z = x * scale + shift, and, by the kind of pooling,
//   max2            the x behind each maximum, [V*B, OH, OW, C]. Its pixel is the first of the window with
//   that
//                   x: an earlier one would have the same z and would itself be the first maximum.
//   global_average  of each image and channel the number of pixels with z > 0 and the sum of their x - mean,
//                   each [V*B, C].
// With these the sums over d_z that backward begins with do not read x.
#include <algorithm>

#include "backend/cpu/batch_norm.h"
#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/parallel.h"
#include "backend/shared_statistics.h"

namespace dpll::cpu {
namespace {

constexpr std::int64_t kReduceGrain = 64;  // channels whose sums one thread adds up at a time

// Per-channel values of one view: z = x * scale + shift, d_x = scale * d_z + slope * (x - mean) + offset.
struct Channels {
  const float* scale;
  const float* shift;
  const float* mean;
  const float* slope;
  const float* offset;
};

// A NaN must stay a NaN: here, and by being the maximum of its window.
inline float relu(float z) {
  return 0.0F > z ? 0.0F : z;
}
inline bool replaces(float z, float best) {
  return (z > best) | (z != z);
}
inline float maximum(float best, float z) {
  return replaces(z, best) ? z : best;
}

// One row of windows. x begins at the upper row of pixels, the lower one is `row` floats further on.
DPLL_VECTOR_CLONES void max_kernel(float* __restrict y, const float* __restrict x, std::int64_t row,
                                   const Channels& of, std::int64_t windows, std::int64_t channels) {
  for (std::int64_t w = 0; w < windows; ++w, y += channels, x += 2 * channels) {
    const float* lower = x + row;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const float scale = of.scale[c];
      const float shift = of.shift[c];
      const float z0 = x[c] * scale + shift;
      const float z1 = x[channels + c] * scale + shift;
      const float z2 = lower[c] * scale + shift;
      const float z3 = lower[channels + c] * scale + shift;
      y[c] = relu(maximum(maximum(maximum(z0, z1), z2), z3));
    }
  }
}

DPLL_VECTOR_CLONES void max_and_save_kernel(float* __restrict y, float* __restrict x_max,
                                            const float* __restrict x, std::int64_t row, const Channels& of,
                                            std::int64_t windows, std::int64_t channels) {
  for (std::int64_t w = 0; w < windows; ++w, y += channels, x_max += channels, x += 2 * channels) {
    const float* lower = x + row;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const float scale = of.scale[c];
      const float shift = of.shift[c];
      const float x0 = x[c];
      const float x1 = x[channels + c];
      const float x2 = lower[c];
      const float x3 = lower[channels + c];
      const float z0 = x0 * scale + shift;
      const float z1 = x1 * scale + shift;
      const float z2 = x2 * scale + shift;
      const float z3 = x3 * scale + shift;
      const float upper_z = maximum(z0, z1);
      const float upper_x = replaces(z1, z0) ? x1 : x0;
      const float three_z = maximum(upper_z, z2);
      const float three_x = replaces(z2, upper_z) ? x2 : upper_x;
      x_max[c] = replaces(z3, three_z) ? x3 : three_x;
      y[c] = relu(maximum(three_z, z3));
    }
  }
}

DPLL_VECTOR_CLONES void max_backward_kernel(float* __restrict d_x, const float* __restrict d_y,
                                            const float* __restrict x_max, const float* __restrict x,
                                            std::int64_t row, const Channels& of, std::int64_t windows,
                                            std::int64_t channels) {
  for (std::int64_t w = 0; w < windows; ++w) {
    const float* lower = x + row;
    float* d_lower = d_x + row;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const float mean = of.mean[c];
      const float slope = of.slope[c];
      const float offset = of.offset[c];
      const float best = x_max[c];
      const float x0 = x[c];
      const float x1 = x[channels + c];
      const float x2 = lower[c];
      const float x3 = lower[channels + c];
      const float d = of.scale[c] * d_y[c];
      // What the window still has to give: the first pixel with the maximum takes it.
      const float give0 = best * of.scale[c] + of.shift[c] > 0.0F ? d : 0.0F;
      const float give1 = x0 == best ? 0.0F : give0;
      const float give2 = x1 == best ? 0.0F : give1;
      const float give3 = x2 == best ? 0.0F : give2;
      d_x[c] = (x0 == best ? give0 : 0.0F) + (slope * (x0 - mean) + offset);
      d_x[channels + c] = (x1 == best ? give1 : 0.0F) + (slope * (x1 - mean) + offset);
      d_lower[c] = (x2 == best ? give2 : 0.0F) + (slope * (x2 - mean) + offset);
      d_lower[channels + c] = (x3 == best ? give3 : 0.0F) + (slope * (x3 - mean) + offset);
    }
    d_y += channels;
    x_max += channels;
    x += 2 * channels;
    d_x += 2 * channels;
  }
}

// Pixels in no window: only the statistics depend on them.
DPLL_VECTOR_CLONES void dropped_backward_kernel(float* __restrict d_x, const float* __restrict x,
                                                const Channels& of, std::int64_t pixels,
                                                std::int64_t channels) {
  for (std::int64_t p = 0; p < pixels; ++p, x += channels, d_x += channels) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      d_x[c] = of.slope[c] * (x[c] - of.mean[c]) + of.offset[c];
    }
  }
}

// Adds to y [C] the sum of relu(z) over the pixels of an image.
DPLL_VECTOR_CLONES void relu_sum_kernel(float* __restrict y, const float* __restrict x, const Channels& of,
                                        std::int64_t pixels, std::int64_t channels) {
  for (std::int64_t p = 0; p < pixels; ++p, x += channels) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) y[c] += relu(x[c] * of.scale[c] + of.shift[c]);
  }
}

// The same; also adds to count and centred [C] the number of pixels with z > 0 and the sum of their x - mean.
DPLL_VECTOR_CLONES void relu_sum_and_save_kernel(float* __restrict y, float* __restrict count,
                                                 float* __restrict centred, const float* __restrict x,
                                                 const Channels& of, std::int64_t pixels,
                                                 std::int64_t channels) {
  for (std::int64_t p = 0; p < pixels; ++p, x += channels) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const float z = x[c] * of.scale[c] + of.shift[c];
      const float positive = z > 0.0F ? 1.0F : 0.0F;
      y[c] += relu(z);
      count[c] += positive;
      centred[c] += positive * (x[c] - of.mean[c]);
    }
  }
}

// d_y [C] is the gradient of the image's average, weight one over its pixels.
DPLL_VECTOR_CLONES void average_backward_kernel(float* __restrict d_x, const float* __restrict d_y,
                                                float weight, const float* __restrict x, const Channels& of,
                                                std::int64_t pixels, std::int64_t channels) {
  for (std::int64_t p = 0; p < pixels; ++p, x += channels, d_x += channels) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const float d_a = d_y[c] * weight;
      const float d_z = x[c] * of.scale[c] + of.shift[c] > 0.0F ? d_a : 0.0F;
      d_x[c] = of.scale[c] * d_z + (of.slope[c] * (x[c] - of.mean[c]) + of.offset[c]);
    }
  }
}

class CpuBnReluPool final : public BnReluPool {
 public:
  explicit CpuBnReluPool(const BnReluPoolSpec& spec)
      : spec_(spec),
        channels_(spec.channels),
        pixels_(std::int64_t{spec.height} * spec.width),
        out_pixels_(std::int64_t{spec.out_height()} * spec.out_width()),
        bn_(bn_geometry(spec.views, spec.batch, pixels_, spec.channels, spec.share)),
        // The sums over d_z run over x, or over the maxima.
        sums_bn_(bn_geometry(spec.views, spec.batch, out_pixels_, spec.channels, spec.share)),
        pairs_(whole_lines(spec.views * channels_)),
        outputs_(whole_lines(spec.rows() * out_pixels_ * channels_)) {}

  std::size_t saved_bytes() const override {
    if (spec_.mode == Mode::eval) return 0;
    const std::int64_t pooled = spec_.pool == Pool::max2             ? outputs_
                                : spec_.pool == Pool::global_average ? 2 * outputs_
                                                                     : 0;
    return static_cast<std::size_t>(2 * pairs_ + pooled) * sizeof(float);
  }

  // Forward in evaluation: scale and shift. Backward: sums [V, 2, C], slope and offset [V, C], then the
  // memory of bn_relu_backward_sums().
  std::size_t workspace_bytes() const override {
    if (spec_.mode == Mode::eval) return static_cast<std::size_t>(2 * pairs_) * sizeof(float);
    return static_cast<std::size_t>(4 * pairs_) * sizeof(float) + bn_workspace_bytes(sums_bn_);
  }

  void forward(const BnReluPoolForward& call) override {
    const bool train = spec_.mode == Mode::train;
    const auto* x = call.x.as<float>();
    auto* y = call.y.as<float>();
    const float* stats = train ? call.x_stats.as<float>() : nullptr;
    auto* scale = static_cast<float*>(train ? call.saved : call.workspace);
    float* shift = scale + pairs_;
    float* pooled = shift + pairs_;
    batch_norm_prepare(scale, shift, call.bn, stats, bn_);
    if (spec_.pool == Pool::none) {
      bn_relu_apply(y, x, scale, shift, bn_);
      return;
    }
    parallel_chunks(spec_.rows(), 1, [&](std::int64_t image, std::int64_t) {
      const std::int64_t in = image * pixels_ * channels_;
      const std::int64_t out = image * out_pixels_ * channels_;
      Channels of{};
      const std::int64_t view = image / spec_.batch;
      of.scale = scale + view * channels_;
      of.shift = shift + view * channels_;
      if (train) of.mean = stats + view * 2 * channels_;
      if (spec_.pool == Pool::max2) {
        max_forward(y + out, train ? pooled + out : nullptr, x + in, of);
      } else {
        average_forward(y + out, train ? pooled + out : nullptr, x + in, of);
      }
    });
  }

  void backward(const BnReluPoolBackward& call) override {
    DPLL_CHECK(spec_.mode == Mode::train, "bn_relu_pool has no backward in evaluation");
    const auto* x = call.x.as<float>();
    const auto* d_y = call.d_y.as<float>();
    const auto* stats = call.x_stats.as<float>();
    auto* d_x = call.d_x.as<float>();
    auto* d_gamma = call.bn.d_gamma.as<float>();
    auto* d_beta = call.bn.d_beta.as<float>();
    const auto* scale = static_cast<const float*>(call.saved);
    const float* shift = scale + pairs_;
    const float* pooled = shift + pairs_;
    auto* sums = static_cast<float*>(call.workspace);
    float* slope = sums + 2 * pairs_;
    float* offset = slope + pairs_;

    if (spec_.pool == Pool::global_average) {
      average_sums(sums, d_gamma, d_beta, d_y, pooled, stats);
    } else {
      bn_relu_backward_sums(sums, d_gamma, d_beta, d_y, spec_.pool == Pool::max2 ? pooled : x, stats, scale,
                            shift, sums_bn_, offset + pairs_);
    }
    if (spec_.pool == Pool::none) {
      bn_relu_backward_apply(d_x, Accumulate::no, d_y, x, stats, scale, shift, sums, bn_);
      return;
    }
    for (int view = 0; view < spec_.views; ++view) {
      for (std::int64_t c = 0; c < channels_; ++c) {
        const std::int64_t at = view * channels_ + c;
        const std::int64_t first = 2 * view * channels_ + c;  // of [V, 2, C]
        const std::int64_t second = first + channels_;
        const BnGradient gradient =
            bn_gradient(scale[at], stats[second], sums[first], sums[second], bn_.counted());
        slope[at] = gradient.slope;
        offset[at] = gradient.offset;
      }
    }
    parallel_chunks(spec_.rows(), 1, [&](std::int64_t image, std::int64_t) {
      const std::int64_t in = image * pixels_ * channels_;
      const std::int64_t out = image * out_pixels_ * channels_;
      const std::int64_t view = image / spec_.batch;
      const std::int64_t at = view * channels_;
      const Channels of{scale + at, shift + at, stats + 2 * at, slope + at, offset + at};
      if (spec_.pool == Pool::max2) {
        max_backward(d_x + in, d_y + out, pooled + out, x + in, of);
      } else {
        average_backward_kernel(d_x + in, d_y + out, 1.0F / static_cast<float>(pixels_), x + in, of, pixels_,
                                channels_);
      }
    });
  }

 private:
  // Floats of whole cache lines.
  static std::int64_t whole_lines(std::int64_t floats) { return (floats + 15) / 16 * 16; }

  void max_forward(float* y, float* x_max, const float* x, const Channels& of) const {
    const std::int64_t row = spec_.width * channels_;
    const std::int64_t windows = spec_.out_width();
    for (int h = 0; h < spec_.out_height(); ++h) {
      const std::int64_t out = h * windows * channels_;
      if (x_max == nullptr) {
        max_kernel(y + out, x + 2 * h * row, row, of, windows, channels_);
      } else {
        max_and_save_kernel(y + out, x_max + out, x + 2 * h * row, row, of, windows, channels_);
      }
    }
  }

  void max_backward(float* d_x, const float* d_y, const float* x_max, const float* x,
                    const Channels& of) const {
    const std::int64_t row = spec_.width * channels_;
    const std::int64_t windows = spec_.out_width();
    const std::int64_t last = 2 * windows * channels_;  // the last column where the width is odd
    for (int h = 0; h < spec_.out_height(); ++h) {
      const std::int64_t in = 2 * h * row;
      const std::int64_t out = h * windows * channels_;
      max_backward_kernel(d_x + in, d_y + out, x_max + out, x + in, row, of, windows, channels_);
      if (last < row) {
        dropped_backward_kernel(d_x + in + last, x + in + last, of, 1, channels_);
        dropped_backward_kernel(d_x + in + row + last, x + in + row + last, of, 1, channels_);
      }
    }
    if (spec_.height % 2 != 0) {
      const std::int64_t in = (spec_.height - 1) * row;
      dropped_backward_kernel(d_x + in, x + in, of, spec_.width, channels_);
    }
  }

  // count, followed by the centred sums of all images, is null in evaluation.
  void average_forward(float* y, float* count, const float* x, const Channels& of) const {
    std::fill_n(y, channels_, 0.0F);
    if (count == nullptr) {
      relu_sum_kernel(y, x, of, pixels_, channels_);
    } else {
      float* centred = count + outputs_;
      std::fill_n(count, channels_, 0.0F);
      std::fill_n(centred, channels_, 0.0F);
      relu_sum_and_save_kernel(y, count, centred, x, of, pixels_, channels_);
    }
    for (std::int64_t c = 0; c < channels_; ++c) y[c] /= static_cast<float>(pixels_);
  }

  // What bn_relu_backward_sums() computes, from the counts and centred sums of the images.
  void average_sums(float* sums, float* d_gamma, float* d_beta, const float* d_y, const float* count,
                    const float* stats) const {
    const float* centred = count + outputs_;
    SharedSums shared(bn_.ranks, sums, std::int64_t{spec_.views} * 2 * channels_);
    parallel_chunks(channels_, kReduceGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t c = begin; c < end; ++c) {
        double total = 0;
        double total_product = 0;
        for (int view = 0; view < spec_.views; ++view) {
          double sum = 0;
          double product = 0;
          for (int b = 0; b < spec_.batch; ++b) {
            const std::int64_t at = (std::int64_t{view} * spec_.batch + b) * channels_ + c;
            const double d_a = d_y[at] / static_cast<double>(pixels_);
            sum += d_a * count[at];
            product += d_a * centred[at];
          }
          const std::int64_t first = 2 * view * channels_ + c;  // of [V, 2, C]
          product *= inverse_sigma(stats[first + channels_]);
          shared.set(first, sum);
          shared.set(first + channels_, product);
          total += sum;
          total_product += product;
        }
        d_beta[c] = static_cast<float>(total);
        d_gamma[c] = static_cast<float>(total_product);
      }
    });
    shared.finish();
  }

  BnReluPoolSpec spec_;
  std::int64_t channels_;
  std::int64_t pixels_, out_pixels_;  // of an image of x and of y
  BnGeometry bn_, sums_bn_;
  std::int64_t pairs_;    // floats kept for [V, C]
  std::int64_t outputs_;  // floats kept for the shape of y
};

}  // namespace

std::unique_ptr<BnReluPool> make_bn_relu_pool(const BnReluPoolSpec& spec) {
  check_spec(spec);
  if (!spec.batch_norm) return make_plain_activation(spec);
  if (spec.shortcut != Shortcut::none) return make_block_join(spec);
  return std::make_unique<CpuBnReluPool>(spec);
}

}  // namespace dpll::cpu
