// What is left of bn_relu_pool without batch norm on the CPU: ReLU alone, or the global average alone.
#include <algorithm>

#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/parallel.h"

namespace dpll::cpu {
namespace {

constexpr std::int64_t kElementsAtOnce = 1 << 14;

// NaN stays NaN.
DPLL_VECTOR_CLONES void plain_relu_kernel(float* __restrict y, const float* __restrict x,
                                          std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = 0.0F > x[i] ? 0.0F : x[i];
}

DPLL_VECTOR_CLONES void plain_relu_backward_kernel(float* __restrict d_x, const float* __restrict d_y,
                                                   const float* __restrict x, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float d = d_y[i];
    d_x[i] = x[i] > 0.0F ? d : 0.0F;
  }
}

DPLL_VECTOR_CLONES void pixel_sum_kernel(float* __restrict sum, const float* __restrict x,
                                         std::int64_t pixels, std::int64_t channels) {
  for (std::int64_t p = 0; p < pixels; ++p, x += channels) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) sum[c] += x[c];
  }
}

class CpuRelu final : public BnReluPool {
 public:
  std::size_t saved_bytes() const override { return 0; }
  std::size_t workspace_bytes() const override { return 0; }
  void forward(const BnReluPoolForward& call) override {
    const auto* x = call.x.as<float>();
    auto* y = call.y.as<float>();
    parallel_chunks(call.x.elements(), kElementsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      plain_relu_kernel(y + begin, x + begin, end - begin);
    });
  }
  void backward(const BnReluPoolBackward& call) override {
    const auto *x = call.x.as<float>(), *d_y = call.d_y.as<float>();
    auto* d_x = call.d_x.as<float>();
    parallel_chunks(call.x.elements(), kElementsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      plain_relu_backward_kernel(d_x + begin, d_y + begin, x + begin, end - begin);
    });
  }
};

class CpuGlobalAverage final : public BnReluPool {
 public:
  explicit CpuGlobalAverage(const BnReluPoolSpec& spec)
      : images_(spec.rows()), pixels_(std::int64_t{spec.height} * spec.width), channels_(spec.channels) {}

  std::size_t saved_bytes() const override { return 0; }
  std::size_t workspace_bytes() const override { return 0; }
  void forward(const BnReluPoolForward& call) override {
    const auto* x = call.x.as<float>();
    parallel_chunks(images_, 1, [&](std::int64_t image, std::int64_t) {
      float* y = call.y.as<float>() + image * channels_;
      std::fill_n(y, channels_, 0.0F);
      pixel_sum_kernel(y, x + image * pixels_ * channels_, pixels_, channels_);
      for (std::int64_t c = 0; c < channels_; ++c) y[c] /= static_cast<float>(pixels_);
    });
  }
  void backward(const BnReluPoolBackward& call) override {
    const auto* d_y = call.d_y.as<float>();
    parallel_chunks(images_, 1, [&](std::int64_t image, std::int64_t) {
      float* d_x = call.d_x.as<float>() + image * pixels_ * channels_;
      for (std::int64_t c = 0; c < channels_; ++c)
        d_x[c] = d_y[image * channels_ + c] / static_cast<float>(pixels_);
      for (std::int64_t p = 1; p < pixels_; ++p) std::copy_n(d_x, channels_, d_x + p * channels_);
    });
  }

 private:
  std::int64_t images_, pixels_, channels_;
};

}  // namespace

std::unique_ptr<BnReluPool> make_plain_activation(const BnReluPoolSpec& spec) {
  if (spec.relu) return std::make_unique<CpuRelu>();
  return std::make_unique<CpuGlobalAverage>(spec);
}

}  // namespace dpll::cpu
