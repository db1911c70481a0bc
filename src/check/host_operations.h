// The products of convolutions and linear layers, computed by the CPU backend from numbers on the host: an
// operation without batch norm, bias and residual. Sums are in float32 from float32 factors. Weights of
// convolutions are [out, in, k, k] here, whatever the layout of the checked backend is.
#pragma once

#include "check/measure.h"

namespace dpll::check {

struct Convolved {
  Floats y, projected;  // [V*B, OH, OW, out]
};
// The forward pass of a [V*B, H, W, in], with the projection if the spec has one.
Convolved convolve(Backend& cpu, const PreactConvSpec& spec, const Floats& a, const Floats& weight,
                   const Floats& projection_weight);

struct ConvolutionGradients {
  Floats d_a;  // if `data` is requested: the sum of both convolutions
  Floats d_weight, d_projection_weight;
};
struct ConvolutionFactors {
  const Floats &a, &weight, &projection_weight, &d_y, &d_projected;
};
ConvolutionGradients convolution_gradients(Backend& cpu, const PreactConvSpec& spec,
                                           const ConvolutionFactors& factors, bool data);

Floats multiply(Backend& cpu, const LinearSpec& spec, const Floats& x, const Floats& weight);
struct LinearGradients {
  Floats d_x, d_weight;
};
LinearGradients linear_gradients(Backend& cpu, const LinearSpec& spec, const Floats& x, const Floats& weight,
                                 const Floats& d_y);

// Converts the weights of a convolution from the backend's layout to [out, in, k, k].
Floats to_oihw(const Floats& weight, ConvWeightLayout layout, int out_channels, int in_channels, int kernel);

// Tensors of the CPU backend, freed together.
class CpuTensors {
 public:
  explicit CpuTensors(Backend& cpu) : cpu_(cpu) {}
  Tensor empty(DType type, const Shape& shape);
  Tensor of(const Floats& values, const Shape& shape);
  // A tensor from a field that a recording stores as bytes.
  Tensor of(const Recording& recording, const std::string& name, DType type);
  void* bytes(std::size_t count);
  Floats values(const Tensor& tensor) const;
  // Memory for a struct.
  template <typename Struct>
  Struct* place(const Struct& value) {
    auto* const data = static_cast<Struct*>(bytes(sizeof(Struct)));
    std::memcpy(static_cast<void*>(data), &value, sizeof(Struct));
    return data;
  }
  BatchRows rows(const HostRows& rows);

 private:
  Backend& cpu_;
  std::vector<Buffer> buffers_;
};

}  // namespace dpll::check
