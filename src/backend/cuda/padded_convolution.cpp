#include "backend/cuda/padded_convolution.h"

#include <algorithm>

#include "elementwise.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

PaddedConvolution::PaddedConvolution(const Context& context, const ConvolutionShape& shape, int zero_channels,
                                     const Passes& passes, MemoryPlan& plan)
    : context_(context),
      channels_(shape.in_channels - zero_channels),
      padded_channels_(shape.in_channels),
      rows_(std::int64_t{shape.out_channels} * shape.kernel * shape.kernel) {
  const auto way = [&](ConvolutionPass pass) {
    std::shared_ptr<const ConvolutionWay> chosen = context.tuner.way(shape, pass);
    scratch_bytes_ = std::max(scratch_bytes_, chosen->workspace_bytes());
    return chosen;
  };
  if (passes.forward) forward_ = way(ConvolutionPass::forward);
  if (passes.data_gradient) data_gradient_ = way(ConvolutionPass::data_gradient);
  if (passes.weight_gradient) weight_gradient_ = way(ConvolutionPass::weight_gradient);
  if (padded()) {
    padded_ = plan.add_bytes(static_cast<std::size_t>(rows_ * padded_channels_) * size_of(shape.type));
  }
}

void PaddedConvolution::forward(void* y, const void* x, const Tensor& weight, void* workspace,
                                void* scratch) const {
  forward_->run(forward_tensors(y, x, padded(weight, workspace)), scratch, context_.stream());
}

void PaddedConvolution::data_gradient(void* d_x, const void* d_y, const Tensor& weight, void* workspace,
                                      void* scratch) const {
  data_gradient_->run(data_gradient_tensors(d_x, d_y, padded(weight, workspace)), scratch, context_.stream());
}

void PaddedConvolution::weight_gradient(const Tensor& d_weight, const void* d_y, const void* x,
                                        void* workspace, void* scratch) const {
  check_type(context_, d_weight, "d_weight");
  if (!padded()) {
    weight_gradient_->run(weight_gradient_tensors(d_weight.data, d_y, x), scratch, context_.stream());
    return;
  }
  weight_gradient_->run(weight_gradient_tensors(padded_.in(workspace), d_y, x), scratch, context_.stream());
  copy_channels(d_weight.data, channels_, padded_.in(workspace), padded_channels_, rows_, context_.compute,
                context_.stream());
}

const void* PaddedConvolution::padded(const Tensor& weight, void* workspace) const {
  check_type(context_, weight, "weight");
  if (!padded()) return weight.data;
  copy_channels(padded_.in(workspace), padded_channels_, weight.data, channels_, rows_, context_.compute,
                context_.stream());
  return padded_.in(workspace);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
