// Convolutions and matrix products of the CUDA backend: the parts that are a vendor library's (cuDNN,
// cuBLASLt) behind interfaces, so that the emulator can put plain loops in their place and further providers
// can join. Nothing here knows batch norm, bias or residuals: those are our kernels'.
//
// All tensors are of one type, DType::f32, f16 or bf16; sums are float32. Calls enqueue on the stream that
// the provider was made with; nothing is allocated and nothing waits, so calls can be captured into a graph.
#pragma once

#include <cstddef>
#include <memory>

#include "dpll/core/tensor.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct ConvolutionShape {
  int images = 1, height = 1, width = 1;  // of x
  int in_channels = 1, out_channels = 1;
  int kernel = 3, stride = 1, pad = 1;
  DType type = DType::f32;

  int out_height() const { return (height + 2 * pad - kernel) / stride + 1; }
  int out_width() const { return (width + 2 * pad - kernel) / stride + 1; }
  bool operator==(const ConvolutionShape&) const = default;
};

// x [images, H, W, in], y [images, OH, OW, out], weight [out, kernel, kernel, in] (OHWI): all contiguous,
// 16-byte aligned. No two tensors of a call overlap.
class Convolution {
 public:
  virtual ~Convolution() = default;
  virtual std::size_t workspace_bytes() const = 0;  // the largest of the three passes
  virtual void forward(void* y, const void* x, const void* weight, void* workspace) = 0;
  virtual void data_gradient(void* d_x, const void* d_y, const void* weight, void* workspace) = 0;
  virtual void weight_gradient(void* d_weight, const void* d_y, const void* x, void* workspace) = 0;
};

// C [m, n] = A B with row-major A and B, each possibly given as its transpose: A [m, k] or [k, m], B [k, n]
// or [n, k]. Inputs of type `type`; C of type `out`.
struct ProductShape {
  int m = 1, n = 1, k = 1;
  bool transposed_a = false, transposed_b = false;
  DType type = DType::f32, out = DType::f32;
};

class Product {
 public:
  virtual ~Product() = default;
  virtual std::size_t workspace_bytes() const = 0;
  virtual void run(void* c, const void* a, const void* b, void* workspace) = 0;
};

class MathLibrary {
 public:
  virtual ~MathLibrary() = default;
  virtual std::unique_ptr<Convolution> make_convolution(const ConvolutionShape& shape) = 0;
  virtual std::unique_ptr<Product> make_product(const ProductShape& shape) = 0;
  virtual std::string description() const = 0;  // "cuDNN 9.19.0, cuBLAS 13.1"
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
