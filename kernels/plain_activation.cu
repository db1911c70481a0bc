// Small tensors: ReLU's are the hidden layers of a perceptron, the average reads the last activation of a
// network once. A thread a value.
#include "plain_activation.h"

#include "launch.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256;

// NaN stays NaN.
// Cost "relu_forward" of a value: 2 S bytes, 1 operation.
template <typename T>
__global__ void relu_values(T* y, const T* x, std::int64_t elements) {
  wait_for_previous_kernel();
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at < elements) y[at] = to_float(x[at]) < 0 ? from_float<T>(0) : x[at];
}

// Cost "relu_backward" of a value: 3 S bytes, 1 operation.
template <typename T>
__global__ void relu_gradients(T* d_x, const T* d_y, const T* x, std::int64_t elements) {
  wait_for_previous_kernel();
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at < elements) d_x[at] = to_float(x[at]) > 0 ? d_y[at] : from_float<T>(0);
}

// Cost "average_forward" of a value of x: S bytes, 1 operation.
template <typename T>
__global__ void averages(T* y, const T* x, PixelsOf shape) {
  wait_for_previous_kernel();
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= shape.images * shape.channels) return;
  const T* const first = x + at / shape.channels * shape.pixels * shape.channels + at % shape.channels;
  float sum = 0;
  for (int pixel = 0; pixel < shape.pixels; ++pixel)
    sum += to_float(first[std::int64_t{pixel} * shape.channels]);
  y[at] = from_float<T>(sum / static_cast<float>(shape.pixels));
}

// Cost "average_backward" of a value of x: S bytes, 1 operation.
template <typename T>
__global__ void average_gradients(T* d_x, const T* d_y, PixelsOf shape) {
  wait_for_previous_kernel();
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t image = std::int64_t{shape.pixels} * shape.channels;
  if (at >= shape.images * image) return;
  const float gradient = to_float(d_y[at / image * shape.channels + at % shape.channels]);
  d_x[at] = from_float<T>(gradient / static_cast<float>(shape.pixels));
}

LaunchShape a_thread_each(std::int64_t items, double bytes) {
  return {{blocks_for(items, kThreads), 1, 1}, kThreads, 0, bytes};
}
double bytes_of(const PixelsOf& shape, std::size_t size) {
  return static_cast<double>(shape.images * (shape.pixels + 1) * shape.channels) * static_cast<double>(size);
}

}  // namespace

void relu_forward(void* y, const void* x, std::int64_t elements, DType type, Stream stream) {
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("relu_forward", relu_values<T>,
           a_thread_each(elements, 2.0 * sizeof(T) * static_cast<double>(elements)), stream,
           static_cast<T*>(y), static_cast<const T*>(x), elements);
  });
}

void relu_backward(void* d_x, const void* d_y, const void* x, std::int64_t elements, DType type,
                   Stream stream) {
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("relu_backward", relu_gradients<T>,
           a_thread_each(elements, 3.0 * sizeof(T) * static_cast<double>(elements)), stream,
           static_cast<T*>(d_x), static_cast<const T*>(d_y), static_cast<const T*>(x), elements);
  });
}

void average_forward(void* y, const void* x, const PixelsOf& shape, DType type, Stream stream) {
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("average_forward", averages<T>,
           a_thread_each(shape.images * shape.channels, bytes_of(shape, sizeof(T))), stream,
           static_cast<T*>(y), static_cast<const T*>(x), shape);
  });
}

void average_backward(void* d_x, const void* d_y, const PixelsOf& shape, DType type, Stream stream) {
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("average_backward", average_gradients<T>,
           a_thread_each(shape.images * shape.pixels * shape.channels, bytes_of(shape, sizeof(T))), stream,
           static_cast<T*>(d_x), static_cast<const T*>(d_y), shape);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
