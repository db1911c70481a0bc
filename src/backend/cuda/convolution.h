// Convolutions and matrix products of the CUDA backend: the parts that are a vendor library's (cuDNN,
// cuBLASLt) behind interfaces, so that the emulator can put plain loops in their place and further providers
// can join. A pass of a convolution has several ways to be computed (engines, tile sizes); which one is used
// is decided elsewhere (tuner.h).
//
// Tensors are of one type, DType::f32, f16 or bf16; sums are float32. Calls enqueue on the stream that they
// are given, one of those that the provider was made with; nothing is allocated and nothing waits, so calls
// can be captured into a graph.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dpll/core/tensor.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// x [images, H, W, in], y [images, OH, OW, out], weight [out, kernel, kernel, in] (OHWI): all contiguous,
// 16-byte aligned.
struct ConvolutionShape {
  int images = 1, height = 1, width = 1;  // of x
  int in_channels = 1, out_channels = 1;
  int kernel = 3, stride = 1, pad = 1;
  DType type = DType::f32;

  int out_height() const { return (height + 2 * pad - kernel) / stride + 1; }
  int out_width() const { return (width + 2 * pad - kernel) / stride + 1; }
  std::int64_t x_elements() const { return std::int64_t{images} * height * width * in_channels; }
  std::int64_t y_elements() const { return std::int64_t{images} * out_height() * out_width() * out_channels; }
  std::int64_t weight_elements() const { return std::int64_t{out_channels} * kernel * kernel * in_channels; }
  std::string text() const;  // "f16 192x32x32x160 to 160 channels, 3x3, stride 1, pad 1"
  bool operator==(const ConvolutionShape&) const = default;
};

// Backend::padded_channels(): kernels, and convolutions on tensor cores, read 16 bytes of channels at a time.
inline int padded_channels(int channels, DType type) {
  const int vector = 16 / static_cast<int>(size_of(type));
  return (channels + vector - 1) / vector * vector;
}
// Of images: in float32 their few channels are cheaper as they are.
inline int image_channels(int channels, DType type) {
  return type == DType::f32 ? channels : padded_channels(channels, type);
}

// The three plain passes, and those into which a library may fuse what batch norm does around them. Of the
// fused ones the images are one view: their sums run over all images. With `activation` = relu(scale x +
// bias), rounded to the type of x:
enum class ConvolutionPass {
  forward,          // y = conv(x, weight)
  data_gradient,    // x = conv^T(y, weight)
  weight_gradient,  // weight = the gradient of the weights, from x and y
  // y as in forward, and over the rows of y: sum, squares = sum of y, of y^2. From the float32 y or from the
  // rounded one, as the library likes. E[y^2] - E[y]^2 of them cancels where |mean| is large beside the
  // deviation.
  forward_statistics,
  activated_forward_statistics,  // the same of conv(activation, weight)
  activated_weight_gradient,     // weight_gradient with activation in place of x
  // d_z = conv^T(y, weight) where gamma (x - mean) inverse_deviation + beta > 0, else 0;
  // d_beta = sum of d_z,  d_gamma = sum of d_z (x - mean) inverse_deviation
  data_gradient_reductions,
};
inline constexpr ConvolutionPass kAllPasses[] = {
    ConvolutionPass::forward,
    ConvolutionPass::data_gradient,
    ConvolutionPass::weight_gradient,
    ConvolutionPass::forward_statistics,
    ConvolutionPass::activated_forward_statistics,
    ConvolutionPass::activated_weight_gradient,
    ConvolutionPass::data_gradient_reductions,
};
const char* name_of(ConvolutionPass pass);
bool is_plain(ConvolutionPass pass);

// What a pass reads and writes, by the names of ConvolutionPass. No two tensors of a call overlap.
struct ConvolutionTensors {
  void *x = nullptr, *weight = nullptr, *y = nullptr;
  const void *scale = nullptr, *bias = nullptr;  // [in], in the type of x
  float *sum = nullptr, *squares = nullptr;      // [out]
  const float *mean = nullptr, *inverse_deviation = nullptr, *gamma = nullptr, *beta = nullptr;  // [in]
  void* d_z = nullptr;                                                                           // as x
  float *d_gamma = nullptr, *d_beta = nullptr;                                                   // [in]
  float* unused = nullptr;  // [3, in], 16-byte aligned rows: data_gradient_reductions may write there
};

// The plain passes' tensors.
inline ConvolutionTensors forward_tensors(void* y, const void* x, const void* weight) {
  return {.x = const_cast<void*>(x), .weight = const_cast<void*>(weight), .y = y};
}
inline ConvolutionTensors data_gradient_tensors(void* d_x, const void* d_y, const void* weight) {
  return {.x = d_x, .weight = const_cast<void*>(weight), .y = const_cast<void*>(d_y)};
}
inline ConvolutionTensors weight_gradient_tensors(void* d_weight, const void* d_y, const void* x) {
  return {.x = const_cast<void*>(x), .weight = d_weight, .y = const_cast<void*>(d_y)};
}

// One way to compute one pass of one shape. Holds no tensors: operations of the same shape share it.
class ConvolutionWay {
 public:
  virtual ~ConvolutionWay() = default;
  virtual const std::string& name() const = 0;
  virtual std::size_t workspace_bytes() const = 0;
  virtual void run(const ConvolutionTensors& tensors, void* workspace, Stream stream) const = 0;
};

// A way that the library offers. The name says which one it is: the same name is the same way in every run
// with this version of the library on this kind of GPU.
struct ConvolutionOffer {
  std::string name;
  std::function<std::shared_ptr<const ConvolutionWay>()> make;  // null: it does not work after all
};

// C [m, n] = A B with row-major A and B, each possibly given as its transpose: A [m, k] or [k, m], B [k, n]
// or [n, k]. Inputs of type `type`; C of type `out`.
struct ProductShape {
  int m = 1, n = 1, k = 1;
  bool transposed_a = false, transposed_b = false;
  DType type = DType::f32, out = DType::f32;

  std::string text() const;  // "f16 product of 192 x 640 by 640 x 10, second transposed"
};

// One algorithm for one shape. Holds no matrices: operations of the same shape share it.
class Product {
 public:
  virtual ~Product() = default;
  virtual std::size_t workspace_bytes() const = 0;
  virtual void run(void* c, const void* a, const void* b, void* workspace, Stream stream) const = 0;
};

// As ConvolutionOffer.
struct ProductOffer {
  std::string name;
  std::function<std::shared_ptr<const Product>()> make;
};

class MathLibrary {
 public:
  virtual ~MathLibrary() = default;
  // Best first, as far as the library can tell without trying. Empty: it cannot compute this.
  virtual std::vector<ConvolutionOffer> offers(const ConvolutionShape& shape, ConvolutionPass pass) = 0;
  virtual std::vector<ProductOffer> offers(const ProductShape& shape) = 0;
  virtual std::string description() const = 0;  // "cuDNN 9.19.0, cuBLAS 13.1"
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
