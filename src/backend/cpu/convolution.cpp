#include "backend/cpu/convolution.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backend/cpu/convolution_kernels.h"
#include "backend/cpu/direct_convolution.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/winograd.h"
#include "backend/memory_plan.h"

namespace dpll::cpu {
namespace {

// A d_weight above this is no longer added up chunk by chunk: to write and add it would cost more than the
// chunk.
constexpr std::int64_t kPartialBytes = std::int64_t{160} << 10;

// Filters beyond which Winograd's, 24 floats each, no longer stay near a core while a chunk goes by: they
// would come from memory for every few tiles.
constexpr std::int64_t kWinogradFilters = std::int64_t{1} << 17;
// Filters beyond which the direct sums of their gradients do not: 192 -> 384 channels are as fast as
// oneDNN's, 256 -> 512 have 0.8 of its speed.
constexpr std::int64_t kDirectFilters = std::int64_t{3} << 15;

// The kernels that will do it; null: oneDNN.
const ConvolutionKernels* winograd_for(const ConvGeometry& geometry) {
  if (geometry.products != DType::f32) return nullptr;
  if (std::int64_t{geometry.in_channels} * geometry.out_channels > kWinogradFilters) return nullptr;
  const ConvolutionKernels* kernels = convolution_kernels();
  return kernels != nullptr && winograd_suits(geometry, *kernels) ? kernels : nullptr;
}

// The kernels that will do a strided or 1x1 convolution; null: oneDNN.
const ConvolutionKernels* direct_for(const ConvGeometry& geometry) {
  if (geometry.products != DType::f32) return nullptr;
  if (geometry.stride == 1 && geometry.kernel > 1) return nullptr;
  if (std::int64_t{geometry.in_channels} * geometry.out_channels > kDirectFilters) return nullptr;
  const ConvolutionKernels* kernels = convolution_kernels();
  return kernels != nullptr && direct_suits(geometry, *kernels) ? kernels : nullptr;
}

// oneDNN 2.6 gives wrong gradients of the weights of strided 1x1 convolutions between few channels (4 -> 8 of
// 8x8 pixels, 5 -> 10 of 16x16).
bool is_narrow_and_strided(const ConvGeometry& g) {
  return g.kernel == 1 && g.stride > 1 && g.pad == 0 && (g.in_channels % 16 != 0 || g.out_channels % 16 != 0);
}

// Such a gradient from the pixels that the convolution reads, put side by side.
class GatheredWeightGradient final : public WeightGradient {
 public:
  explicit GatheredWeightGradient(const ConvGeometry& geometry)
      : of_(geometry), inner_(onednn_backward_weight(gathered(geometry))) {
    a_ = plan_.add<float>(std::int64_t{of_.images} * of_.out_height() * of_.out_width() * of_.in_channels);
    scratch_ = plan_.add_bytes(inner_->scratch_bytes());
  }

  std::size_t scratch_bytes() const override { return plan_.bytes(); }
  std::string implementation() const override { return inner_->implementation(); }
  void run(float* d_weight, const float* a, const float* d_y, void* scratch) const override {
    float* const to = a_.in(scratch);
    const std::int64_t width = of_.out_width(), channels = of_.in_channels;
    parallel_chunks(std::int64_t{of_.images} * of_.out_height(), 1, [&](std::int64_t row, std::int64_t) {
      const std::int64_t image = row / of_.out_height(), h = row % of_.out_height() * of_.stride;
      const float* from = a + (image * of_.height + h) * of_.width * channels;
      for (std::int64_t w = 0; w < width; ++w) {
        std::copy_n(from + w * of_.stride * channels, channels, to + (row * width + w) * channels);
      }
    });
    inner_->run(d_weight, to, d_y, scratch_.in(scratch));
  }

 private:
  static ConvGeometry gathered(ConvGeometry geometry) {
    const int height = geometry.out_height(), width = geometry.out_width();
    geometry.height = height;
    geometry.width = width;
    geometry.stride = 1;
    return geometry;
  }

  ConvGeometry of_;
  std::unique_ptr<WeightGradient> inner_;
  MemoryPlan plan_;
  Piece<float> a_;
  Piece<std::byte> scratch_;
};

}  // namespace

std::span<const ConvolutionKernels* const> available_convolution_kernels() {
  static const std::vector<const ConvolutionKernels*> sets = [] {
    std::vector<const ConvolutionKernels*> found;
#if DPLL_KERNELS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
      found.push_back(convolution_kernels_avx512());
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      found.push_back(convolution_kernels_avx2());
    }
#elif DPLL_KERNELS_NEON
    found.push_back(convolution_kernels_neon());
#endif
    return found;
  }();
  return sets;
}

const ConvolutionKernels* convolution_kernels() {
  const auto sets = available_convolution_kernels();
  return sets.empty() ? nullptr : sets.front();
}

std::unique_ptr<Convolution> make_conv_forward(const ConvGeometry& geometry, bool bias, int lanes) {
  const ConvolutionKernels* kernels = bias ? nullptr : winograd_for(geometry);
  return kernels != nullptr ? winograd_forward(geometry, *kernels) : onednn_forward(geometry, bias, lanes);
}

std::unique_ptr<Convolution> make_conv_backward_data(const ConvGeometry& geometry, int lanes) {
  if (const ConvolutionKernels* kernels = winograd_for(geometry)) {
    return winograd_backward_data(geometry, *kernels);
  }
  if (const ConvolutionKernels* kernels = direct_for(geometry)) {
    return direct_backward_data(geometry, *kernels);
  }
  return onednn_backward_data(geometry, lanes);
}

std::unique_ptr<WeightGradient> make_conv_backward_weight(const ConvGeometry& geometry) {
  if (is_narrow_and_strided(geometry)) return std::make_unique<GatheredWeightGradient>(geometry);
  return onednn_backward_weight(geometry);
}

bool has_partial_weight_gradient(const ConvGeometry& geometry) {
  if (geometry.products == DType::f32)
    return winograd_for(geometry) != nullptr || direct_for(geometry) != nullptr;
  if (is_narrow_and_strided(geometry)) return false;
  const std::int64_t filter = std::int64_t{geometry.kernel} * geometry.kernel * std::int64_t{sizeof(float)};
  return filter * geometry.in_channels * geometry.out_channels <= kPartialBytes;
}

std::unique_ptr<PartialWeightGradient> make_partial_weight_gradient(const ConvGeometry& geometry, int lanes) {
  if (!has_partial_weight_gradient(geometry)) return nullptr;
  if (const ConvolutionKernels* kernels = winograd_for(geometry)) {
    return winograd_backward_weight(geometry, *kernels);
  }
  if (const ConvolutionKernels* kernels = direct_for(geometry)) {
    return direct_backward_weight(geometry, *kernels);
  }
  return onednn_partial_weight_gradient(geometry, lanes);
}

bool has_fast_bf16() {
  return onednn_has_bf16();
}

}  // namespace dpll::cpu
