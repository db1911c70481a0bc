// The only place that knows oneDNN's version: 2.x (Debian 12) describes a primitive by an operation
// descriptor, 3.x (Ubuntu 24.04) by the arguments of the primitive descriptor. Everything else uses these
// classes. All data is float32; activations are NHWC, weights OIHW.
//
// A primitive is made once and run by any number of "lanes", threads that call it at the same time, each with
// its own memory objects and its own scratch. Running allocates nothing on our side. What goes wrong in
// making a primitive is thrown by the constructor; run() is called in parallel regions, where nothing may be
// thrown, and keeps the first failure for check().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace dpll::cpu {

// "oneDNN 2.6.3 (AVX-512)": the library at run time and the instruction set that it uses.
std::string onednn_description();

namespace detail {
class Kernel;  // a primitive and the memory objects of its lanes
struct ConvParts {
  std::unique_ptr<Kernel> kernel;
  std::unique_ptr<Kernel> reorder;  // null where the layouts coincide
  std::size_t packed_bytes = 0;
};
}  // namespace detail

struct ConvGeometry {
  std::int64_t images = 1;    // of one run()
  int height = 1, width = 1;  // of the input
  int in_channels = 1, out_channels = 1;
  int kernel = 3, stride = 1, pad = 1;

  int out_height() const { return (height + 2 * pad - kernel) / stride + 1; }
  int out_width() const { return (width + 2 * pad - kernel) / stride + 1; }
};

// What the three passes of a convolution share. oneDNN chooses its own layout of the weight for each:
// "packed".
class Convolution {
 public:
  std::size_t packed_bytes() const { return parts_.packed_bytes; }  // 0 where that is OIHW itself
  std::size_t scratch_bytes() const;                                // one lane's
  const std::string& implementation() const;                        // oneDNN's name for it
  void check() const;                                               // throws what a run() met

 protected:
  explicit Convolution(detail::ConvParts parts);
  ~Convolution();
  Convolution(Convolution&&) noexcept;

  detail::ConvParts parts_;
};

// y [images, OH, OW, out] = conv(a [images, H, W, in], weight) + bias. A run() uses the calling thread alone.
class ConvForward : public Convolution {
 public:
  ConvForward(const ConvGeometry& geometry, bool bias, int lanes);
  // Returns the packed weight: `packed`, or `weight` itself. Uses all threads and one lane's scratch.
  const float* pack(float* packed, const float* weight, void* scratch) const;
  void run(int lane, float* y, const float* a, const float* packed, const float* bias,
           void* scratch) const noexcept;

 private:
  bool bias_;
};

// d_a = conv^T(d_y, weight). A run() uses the calling thread alone.
class ConvBackwardData : public Convolution {
 public:
  ConvBackwardData(const ConvGeometry& geometry, int lanes);
  const float* pack(float* packed, const float* weight, void* scratch) const;
  void run(int lane, float* d_a, const float* d_y, const float* packed, void* scratch) const noexcept;
};

// d_weight = the sum over images and pixels of d_y x a. Called by one thread, uses all.
class ConvBackwardWeight : public Convolution {
 public:
  explicit ConvBackwardWeight(const ConvGeometry& geometry);
  void run(float* d_weight, const float* a, const float* d_y, float* packed, void* scratch) const;
};

enum class Transpose { no, yes };

// c [m, n] = op(a) [m, k] op(b) [k, n] (+ bias [n]), all row-major; a is stored [k, m] when transposed, b [n,
// k]. Called by one thread, uses all.
class MatrixProduct {
 public:
  MatrixProduct(std::int64_t m, std::int64_t k, std::int64_t n, Transpose a, Transpose b, bool bias);
  ~MatrixProduct();
  MatrixProduct(MatrixProduct&&) noexcept;

  std::size_t scratch_bytes() const;
  const std::string& implementation() const;
  void run(float* c, const float* a, const float* b, const float* bias, void* scratch) const;

 private:
  std::unique_ptr<detail::Kernel> kernel_;
  bool bias_;
};

}  // namespace dpll::cpu
