#include "fused_batch_norm.h"

#include "normalise.cuh"
#include "running_statistics.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256;

// A thread a channel.
//
// Cost "norm_vectors" of a channel of a view: 20 + 2 S bytes, 7 operations; the running statistics 16 bytes a
// channel.
template <typename T>
__global__ void vectors_kernel(NormVectorsCall call) {
  wait_for_previous_kernel();
  const int channel = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int channels = call.shape.channels;
  if (channel >= channels) return;
  for (int view = 0; view < call.shape.views; ++view) {
    const ChannelNorm norm(call.bn, call.shape, view, channel);
    const std::int64_t at = std::int64_t{view} * channels + channel;
    static_cast<T*>(call.scale)[at] = from_float<T>(norm.scale);
    static_cast<T*>(call.bias)[at] = from_float<T>(fmaf(-norm.mean, norm.scale, norm.beta));
    call.inverse_deviation[at] = norm.inverse_deviation;
  }
  if (call.bn.running_mean != nullptr) update_running(call.bn, call.shape, channel);
}

// Cost "statistics_from_sums" of a channel of a view: 16 bytes, 5 operations; in float64.
__global__ void statistics_kernel(float* stats, const float* sum, const float* squares, ViewRows shape) {
  wait_for_previous_kernel();
  const int channel = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int view = static_cast<int>(blockIdx.y);
  if (channel >= shape.channels) return;
  const std::int64_t at = std::int64_t{view} * shape.channels + channel;
  const auto n = static_cast<double>(shape.rows);
  const double mean = sum[at] / n, variance = squares[at] / n - mean * mean;
  float* const of_view = stats + std::int64_t{view} * 2 * shape.channels + channel;
  of_view[0] = static_cast<float>(mean);
  // Rounding may leave a constant channel slightly below zero; NaN stays NaN.
  of_view[shape.channels] = variance < 0 ? 0.0F : static_cast<float>(variance);
}

// Cost "sum_parts" of a value of a part: S bytes, 1 operation; and S bytes for each sum.
template <typename T>
__global__ void sum_kernel(T* to, const T* values, std::int64_t elements, std::int64_t stride, int parts) {
  wait_for_previous_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= elements) return;
  float sum = to_float(values[i]);
  for (int part = 1; part < parts; ++part) sum += to_float(values[part * stride + i]);
  to[i] = from_float<T>(sum);
}

}  // namespace

void norm_vectors(const NormVectorsCall& call, Stream stream) {
  for_type(call.type, [&](auto element) {
    launch("norm_vectors", vectors_kernel<decltype(element)>,
           LaunchShape{{blocks_for(call.shape.channels, kThreads), 1, 1}, kThreads, 0}, stream, call);
  });
}

void statistics_from_sums(float* stats, const float* sum, const float* squares, const ViewRows& shape,
                          Stream stream) {
  launch(
      "statistics_from_sums", statistics_kernel,
      LaunchShape{{blocks_for(shape.channels, kThreads), static_cast<unsigned>(shape.views), 1}, kThreads, 0},
      stream, stats, sum, squares, shape);
}

void sum_parts(void* to, const void* values, DType type, std::int64_t elements, std::int64_t stride,
               int parts, Stream stream) {
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("sum_parts", sum_kernel<T>, LaunchShape{{blocks_for(elements, kThreads), 1, 1}, kThreads, 0},
           stream, static_cast<T*>(to), static_cast<const T*>(values), elements, stride, parts);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
