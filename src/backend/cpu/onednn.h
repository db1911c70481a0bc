// The only place (onednn*.cpp, onednn_kernel.h) that knows oneDNN's version: 2.x (Debian 12) describes a
// primitive by an operation descriptor, 3.x (Ubuntu 24.04) by the arguments of the primitive descriptor.
// Everything else uses these classes. All data in memory is float32. Running allocates nothing on our side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "backend/cpu/convolution.h"

namespace dpll::cpu {

// "oneDNN 2.6.3 (AVX-512)": the library at run time and the instruction set that it uses.
std::string onednn_description();

namespace detail {
class Kernel;  // a primitive and the memory objects of its lanes
}

// As the factories of convolution.h. oneDNN is given any number of lanes, each with its own memory objects.
std::unique_ptr<Convolution> onednn_forward(const ConvGeometry& geometry, bool bias, int lanes);
std::unique_ptr<Convolution> onednn_backward_data(const ConvGeometry& geometry, int lanes);
std::unique_ptr<WeightGradient> onednn_backward_weight(const ConvGeometry& geometry);
std::unique_ptr<PartialWeightGradient> onednn_partial_weight_gradient(const ConvGeometry& geometry,
                                                                      int lanes);

// Whether oneDNN multiplies bf16 by instructions of this processor (AVX512_BF16 or AMX).
bool onednn_has_bf16();

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
