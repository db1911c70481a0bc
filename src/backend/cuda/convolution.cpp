#include "backend/cuda/convolution.h"

#include "dpll/core/check.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

std::string ConvolutionShape::text() const {
  return fmt::format("{} {}x{}x{}x{} to {} channels, {}x{}, stride {}, pad {}", dpll::name_of(type), images,
                     height, width, in_channels, out_channels, kernel, kernel, stride, pad);
}

const char* name_of(ConvolutionPass pass) {
  switch (pass) {
    case ConvolutionPass::forward:
      return "forward";
    case ConvolutionPass::data_gradient:
      return "data_gradient";
    case ConvolutionPass::weight_gradient:
      return "weight_gradient";
    case ConvolutionPass::forward_statistics:
      return "forward_statistics";
    case ConvolutionPass::activated_forward_statistics:
      return "activated_forward_statistics";
    case ConvolutionPass::activated_weight_gradient:
      return "activated_weight_gradient";
    case ConvolutionPass::data_gradient_reductions:
      return "data_gradient_reductions";
  }
  return "?";
}

bool is_plain(ConvolutionPass pass) {
  return pass == ConvolutionPass::forward || pass == ConvolutionPass::data_gradient ||
         pass == ConvolutionPass::weight_gradient;
}

std::string ProductShape::text() const {
  return fmt::format("{} product of {} x {} by {} x {}{}{}{}", dpll::name_of(type), m, k, k, n,
                     transposed_a ? ", first transposed" : "", transposed_b ? ", second transposed" : "",
                     out == type ? "" : fmt::format(", stored as {}", dpll::name_of(out)));
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
