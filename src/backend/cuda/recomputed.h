// Elements of results, recomputed on the host in float64 from the inputs that lie on the GPU. They are what
// every way to compute something is measured by: a majority of engines may be wrong together, a sum that the
// host adds up by its definition is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backend/cuda/convolution.h"
#include "backend/cuda/runtime.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// A tensor that lies on the GPU, copied to the host as it is stored: f32, f16 or bf16.
class HostValues {
 public:
  HostValues() = default;
  HostValues(Runtime& runtime, const void* data, DType type, std::int64_t elements);
  double operator[](std::int64_t i) const;

 private:
  DType type_ = DType::f32;
  std::vector<std::byte> bytes_;
};

// The value of an element of a tensor, by its index.
using ElementReader = std::function<double(std::int64_t)>;

// Element `index` of what a plain pass of `shape` computes, from the other two tensors; the third is not
// read. Indices as the tensors lie: x and y NHWC, weight OHWI.
double recomputed_element(const ConvolutionShape& shape, ConvolutionPass pass, std::int64_t index,
                          const ElementReader& x, const ElementReader& weight, const ElementReader& y);
// Of C [m, n].
double recomputed_element(const ProductShape& shape, std::int64_t index, const ElementReader& a,
                          const ElementReader& b);

// data_gradient in all places of input channel `channel`: [images, H, W]. On all cores.
std::vector<double> recomputed_channel(const ConvolutionShape& shape, int channel, const HostValues& weight,
                                       const HostValues& y);

// About `count` indices of a tensor of so many elements, the same ones each time: the first, the last, and
// one drawn from each of as many equal parts. All of them where there are no more.
std::vector<std::int64_t> spread_indices(std::int64_t elements, int count = 64);

// Elements of an output whose values are known, and how far a right result may be off.
struct KnownElements {
  std::string name;  // of the output
  std::vector<std::int64_t> indices;
  std::vector<double> values;
  double relative = 0, absolute = 0;
};

// Empty, or what is wrong in one line: "y[17] is 0.5, and 0.25 as the host computes it". NaN is wrong.
std::string complaint_about(Runtime& runtime, const KnownElements& known, const void* data, DType type);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
