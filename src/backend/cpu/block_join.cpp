// y = relu(bn(x) + shortcut) on the CPU: where the two paths of a block join. Forward is one pass. Backward
// is two: the first reads d_y, x and s, writes d_z into d_s and adds up what the batch norms' statistics ask
// for; the second makes d_x of d_z and x, and, behind a normalised shortcut, d_s of d_z and s.
//
// A subsampled shortcut is first spread over a tensor of x's shape in the workspace, and its gradient
// gathered from one: a network has two of them.
#include <algorithm>

#include "backend/cpu/batch_norm.h"
#include "backend/cpu/batch_norm_lanes.h"
#include "backend/cpu/batch_norm_parts.h"
#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/parallel.h"
#include "backend/memory_plan.h"

namespace dpll::cpu {
namespace {

// NaN stays NaN, as in bn_relu_apply().
DPLL_VECTOR_CLONES void join_kernel(float* __restrict y, const float* __restrict x, const float* __restrict s,
                                    const float* __restrict scale, const float* __restrict shift,
                                    std::int64_t rows, std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride, s += stride, y += stride) {
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      const float z = x[j] * scale[j] + shift[j] + s[j];
      y[j] = 0.0F > z ? 0.0F : z;
    }
  }
}

// shift: of both.
DPLL_VECTOR_CLONES void join_normalised_kernel(float* __restrict y, const float* __restrict x,
                                               const float* __restrict s, const float* __restrict scale,
                                               const float* __restrict s_scale, const float* __restrict shift,
                                               std::int64_t rows, std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride, s += stride, y += stride) {
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      const float z = x[j] * scale[j] + shift[j] + s[j] * s_scale[j];
      y[j] = 0.0F > z ? 0.0F : z;
    }
  }
}

struct JoinLanes {
  Lanes scale, shift, mean, s_scale, s_mean;
  Lanes sum, product, s_product;
};

// d_z may be d_y.
DPLL_VECTOR_CLONES void join_sums_kernel(JoinLanes& of, float* d_z, const float* d_y,
                                         const float* __restrict x, const float* __restrict s,
                                         std::int64_t rows, std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride, s += stride, d_y += stride, d_z += stride) {
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      const float z = x[j] * of.scale.value[j] + of.shift.value[j] + s[j];
      const float d = d_y[j];
      const float passed = z > 0.0F ? d : 0.0F;
      d_z[j] = passed;
      of.sum.value[j] += passed;
      of.product.value[j] += passed * (x[j] - of.mean.value[j]);
    }
  }
}

DPLL_VECTOR_CLONES void join_normalised_sums_kernel(JoinLanes& of, float* d_z, const float* d_y,
                                                    const float* __restrict x, const float* __restrict s,
                                                    std::int64_t rows, std::int64_t width,
                                                    std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride, s += stride, d_y += stride, d_z += stride) {
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      const float z = x[j] * of.scale.value[j] + of.shift.value[j] + s[j] * of.s_scale.value[j];
      const float d = d_y[j];
      const float passed = z > 0.0F ? d : 0.0F;
      d_z[j] = passed;
      of.sum.value[j] += passed;
      of.product.value[j] += passed * (x[j] - of.mean.value[j]);
      of.s_product.value[j] += passed * (s[j] - of.s_mean.value[j]);
    }
  }
}

// The gradient of a batch norm's input: scale * d_z + slope * (x - mean) + offset. d_x may be d_z.
struct NormGradientLanes {
  Lanes scale, mean, slope, offset;
};

DPLL_VECTOR_CLONES void norm_gradient_kernel(float* d_x, const float* d_z, const float* __restrict x,
                                             const NormGradientLanes& of, std::int64_t rows,
                                             std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride, d_z += stride, d_x += stride) {
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      d_x[j] =
          of.scale.value[j] * d_z[j] + (of.slope.value[j] * (x[j] - of.mean.value[j]) + of.offset.value[j]);
    }
  }
}

// A batch norm of a view: stats and sums are [2, C].
struct NormOfView {
  const float *scale, *shift, *stats, *sums;
};

class CpuBlockJoin final : public BnReluPool {
 public:
  explicit CpuBlockJoin(const BnReluPoolSpec& spec)
      : spec_(spec),
        bn_(bn_geometry(spec.views, spec.batch, std::int64_t{spec.height} * spec.width, spec.channels,
                        spec.share)),
        part_rows_(usual_part_rows(spec.channels)) {
    const std::int64_t pairs = std::int64_t{spec.views} * spec.channels;
    const auto add_vectors = [&](MemoryPlan& plan) {
      for (Piece<float>* piece : {&scale_, &shift_, &s_scale_, &s_shift_}) *piece = plan.add<float>(pairs);
    };
    if (spec.mode == Mode::train) {
      add_vectors(saved_);
      const std::int64_t parts = 2 * pairs * parts_of_view(bn_, part_rows_);
      parts_ = workspace_.add<double>(parts);
      s_parts_ = workspace_.add<double>(parts);
      sums_ = workspace_.add<float>(2 * pairs);
      s_sums_ = workspace_.add<float>(2 * pairs);
    } else {
      add_vectors(workspace_);
    }
    if (subsampled()) {
      spread_ = workspace_.add<float>(elements());
      d_spread_ = workspace_.add<float>(elements());
    }
  }

  std::size_t saved_bytes() const override { return saved_.bytes(); }
  std::size_t workspace_bytes() const override { return workspace_.bytes(); }

  void forward(const BnReluPoolForward& call) override {
    const bool train = spec_.mode == Mode::train;
    void* const block = train ? call.saved : call.workspace;
    float *scale = scale_.in(block), *shift = shift_.in(block), *s_scale = s_scale_.in(block);
    batch_norm_prepare(scale, shift, call.bn, train ? call.x_stats.as<float>() : nullptr, bn_);
    if (normalised()) {
      float* s_shift = s_shift_.in(block);
      batch_norm_prepare(s_scale, s_shift, call.shortcut_bn,
                         train ? call.shortcut_stats.as<float>() : nullptr, bn_);
      for (std::int64_t i = 0; i < std::int64_t{spec_.views} * spec_.channels; ++i) shift[i] += s_shift[i];
    }
    const float* s = shortcut(call.shortcut, call.workspace);
    const auto* x = call.x.as<float>();
    auto* y = call.y.as<float>();
    each_part(bn_, [&](const Part& part, std::int64_t) {
      const std::int64_t view = std::int64_t{part.view} * spec_.channels;
      JoinLanes of;
      each_strip(spec_.channels, [&](const Strip& strip, int c) {
        of.scale.set(scale + view + c, strip.channels(), strip.repeat());
        of.shift.set(shift + view + c, strip.channels(), strip.repeat());
        if (normalised()) of.s_scale.set(s_scale + view + c, strip.channels(), strip.repeat());
        strip.run(0, part.rows,
                  [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
                    at += part.element + c;
                    if (normalised()) {
                      join_normalised_kernel(y + at, x + at, s + at, of.scale.value, of.s_scale.value,
                                             of.shift.value, r, width, stride);
                    } else {
                      join_kernel(y + at, x + at, s + at, of.scale.value, of.shift.value, r, width, stride);
                    }
                  });
      });
    });
  }

  void backward(const BnReluPoolBackward& call) override {
    DPLL_CHECK(spec_.mode == Mode::train, "bn_relu_pool has no backward in evaluation");
    const auto *x = call.x.as<float>(), *s = shortcut(call.shortcut, call.workspace);
    float* d_z = subsampled() ? d_spread_.in(call.workspace) : call.d_shortcut.as<float>();
    const auto *stats = call.x_stats.as<float>(), *s_stats = call.shortcut_stats.as<float>();
    const float *scale = scale_.in(call.saved), *s_scale = s_scale_.in(call.saved);
    float *sums = sums_.in(call.workspace), *s_sums = s_sums_.in(call.workspace);
    double *parts = parts_.in(call.workspace), *s_parts = s_parts_.in(call.workspace);
    each_part(bn_, [&](const Part& part, std::int64_t i) {
      const std::int64_t first = i * 2 * spec_.channels;
      sums_of_part(parts + first, s_parts + first, part, d_z, call, s);
    });
    combine_backward_sums(sums, call.bn.d_gamma.as<float>(), call.bn.d_beta.as<float>(), parts, part_rows_,
                          stats, bn_);
    if (normalised()) {
      combine_backward_sums(s_sums, call.shortcut_bn.d_gamma.as<float>(), call.shortcut_bn.d_beta.as<float>(),
                            s_parts, part_rows_, s_stats, bn_);
    }
    auto* d_x = call.d_x.as<float>();
    each_part(bn_, [&](const Part& part, std::int64_t) {
      const std::int64_t view = std::int64_t{part.view} * spec_.channels;
      gradient_of_part(d_x, d_z, x, {scale + view, nullptr, stats + 2 * view, sums + 2 * view}, part);
      if (normalised()) {
        gradient_of_part(d_z, d_z, s, {s_scale + view, nullptr, s_stats + 2 * view, s_sums + 2 * view}, part);
      }
    });
    if (subsampled()) gather(call.d_shortcut.as<float>(), d_z);
  }

 private:
  bool normalised() const { return spec_.shortcut == Shortcut::normalised; }
  bool subsampled() const { return spec_.shortcut == Shortcut::subsampled; }
  std::int64_t elements() const { return bn_.views * bn_.rows * bn_.channels; }

  // s in the shape of x.
  const float* shortcut(const Tensor& tensor, void* workspace) const {
    const auto* s = tensor.as<float>();
    if (!subsampled()) return s;
    float* to = spread_.in(workspace);
    const int pad = spec_.shortcut_pad(), own = spec_.shortcut_channels;
    each_pixel([&](std::int64_t of_x, std::int64_t of_s) {
      float* at = to + of_x;
      std::fill_n(at, pad, 0.0F);
      std::copy_n(s + of_s, own, at + pad);
      std::fill_n(at + pad + own, spec_.channels - pad - own, 0.0F);
    });
    return to;
  }

  // d_s of d_z.
  void gather(float* d_s, const float* d_z) const {
    parallel_chunks(spec_.shortcut_shape().elements(), 1 << 14,
                    [&](std::int64_t begin, std::int64_t end) { std::fill(d_s + begin, d_s + end, 0.0F); });
    each_pixel([&](std::int64_t of_x, std::int64_t of_s) {
      std::copy_n(d_z + of_x + spec_.shortcut_pad(), spec_.shortcut_channels, d_s + of_s);
    });
  }

  // body(first element of a pixel of x, of the pixel of s that is added to it).
  template <typename Body>
  void each_pixel(const Body& body) const {
    parallel_chunks(spec_.rows(), 1, [&](std::int64_t image, std::int64_t) {
      for (std::int64_t h = 0; h < spec_.height; ++h) {
        for (std::int64_t w = 0; w < spec_.width; ++w) {
          const std::int64_t of_x = (image * spec_.height + h) * spec_.width + w,
                             of_s = (image * spec_.shortcut_height + 2 * h) * spec_.shortcut_width + 2 * w;
          body(of_x * spec_.channels, of_s * spec_.shortcut_channels);
        }
      }
    });
  }

  // Writes d_z, and the sums of d_z and d_z (x - mean), d_z and d_z (s - mean of s), as [2, C].
  void sums_of_part(double* sums, double* s_sums, const Part& part, float* d_z,
                    const BnReluPoolBackward& call, const float* s) const {
    const auto *x = call.x.as<float>(), *d_y = call.d_y.as<float>(), *stats = call.x_stats.as<float>(),
               *s_stats = call.shortcut_stats.as<float>();
    const std::int64_t view = std::int64_t{part.view} * spec_.channels;
    JoinLanes of;
    each_strip(spec_.channels, [&](const Strip& strip, int c) {
      const int channels = strip.channels(), repeat = strip.repeat();
      of.scale.set(scale_.in(call.saved) + view + c, channels, repeat);
      of.shift.set(shift_.in(call.saved) + view + c, channels, repeat);
      of.mean.set(stats + 2 * view + c, channels, repeat);
      if (normalised()) {
        of.s_scale.set(s_scale_.in(call.saved) + view + c, channels, repeat);
        of.s_mean.set(s_stats + 2 * view + c, channels, repeat);
      }
      double *sum = sums + c, *product = sum + spec_.channels, *s_product = s_sums + spec_.channels + c;
      for (double* total : {sum, product, s_product}) std::fill_n(total, channels, 0.0);
      for (std::int64_t first = 0; first < part.rows; first += strip.block_rows()) {
        const std::int64_t rows = std::min(strip.block_rows(), part.rows - first);
        for (Lanes* lanes : {&of.sum, &of.product, &of.s_product}) lanes->clear(strip.lanes());
        strip.run(first, rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
          at += part.element + c;
          const auto kernel = normalised() ? join_normalised_sums_kernel : join_sums_kernel;
          kernel(of, d_z + at, d_y + at, x + at, s + at, r, width, stride);
        });
        fold_lanes(sum, of.sum.value, channels, repeat);
        fold_lanes(product, of.product.value, channels, repeat);
        if (normalised()) fold_lanes(s_product, of.s_product.value, channels, repeat);
      }
      std::copy_n(sum, channels, s_sums + c);
    });
  }

  void gradient_of_part(float* d_x, const float* d_z, const float* x, const NormOfView& norm,
                        const Part& part) const {
    NormGradientLanes of;
    each_strip(spec_.channels, [&](const Strip& strip, int c) {
      const int channels = strip.channels(), repeat = strip.repeat();
      of.scale.set(norm.scale + c, channels, repeat);
      of.mean.set(norm.stats + c, channels, repeat);
      for (int i = 0; i < channels; ++i) {
        const BnGradient gradient =
            bn_gradient(norm.scale[c + i], norm.stats[spec_.channels + c + i], norm.sums[c + i],
                        norm.sums[spec_.channels + c + i], bn_.counted());
        of.slope.value[i] = gradient.slope;
        of.offset.value[i] = gradient.offset;
      }
      of.slope.spread(channels, repeat);
      of.offset.spread(channels, repeat);
      strip.run(0, part.rows, [&](std::int64_t at, std::int64_t r, std::int64_t width, std::int64_t stride) {
        at += part.element + c;
        norm_gradient_kernel(d_x + at, d_z + at, x + at, of, r, width, stride);
      });
    });
  }

  BnReluPoolSpec spec_;
  BnGeometry bn_;
  std::int64_t part_rows_;
  MemoryPlan saved_, workspace_;
  // [V, C]; saved in training. `shift` is that of both batch norms where there are two.
  Piece<float> scale_, shift_, s_scale_, s_shift_;
  Piece<double> parts_, s_parts_;  // [V, parts, 2, C]
  Piece<float> sums_, s_sums_;     // [V, 2, C]
  Piece<float> spread_, d_spread_;
};

}  // namespace

std::unique_ptr<BnReluPool> make_block_join(const BnReluPoolSpec& spec) {
  return std::make_unique<CpuBlockJoin>(spec);
}

}  // namespace dpll::cpu
