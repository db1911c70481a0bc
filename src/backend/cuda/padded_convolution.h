// The plain passes of a convolution, with weights of fewer channels than its input has.
#pragma once

#include "backend/cuda/cuda_ops.h"
#include "backend/memory_plan.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// A convolution whose input has zero channels behind those that its weights know: tensor cores want 8
// channels where images have 3. Weights and their gradient pass through copies of the wider shape; without
// zero channels they are used where they lie.
class PaddedConvolution {
 public:
  struct Passes {
    bool forward = true, data_gradient = true, weight_gradient = true;  // those that will be run
  };
  PaddedConvolution(const Context& context, const ConvolutionShape& shape, int zero_channels,
                    const Passes& passes, MemoryPlan& plan);

  std::size_t scratch_bytes() const { return scratch_bytes_; }

  void forward(void* y, const void* x, const Tensor& weight, void* workspace, void* scratch) const;
  void data_gradient(void* d_x, const void* d_y, const Tensor& weight, void* workspace, void* scratch) const;
  void weight_gradient(const Tensor& d_weight, const void* d_y, const void* x, void* workspace,
                       void* scratch) const;

 private:
  bool padded() const { return padded_channels_ > channels_; }
  const void* padded(const Tensor& weight, void* workspace) const;

  Context context_;
  int channels_, padded_channels_;
  std::int64_t rows_;  // of the weights: out * kernel * kernel
  std::shared_ptr<const ConvolutionWay> forward_, data_gradient_, weight_gradient_;
  std::size_t scratch_bytes_ = 0;
  Piece<std::byte> padded_;
};

}  // namespace dpll::DPLL_CUDA_NAMESPACE
