#include "backend/cpu/convolution.h"

#include "backend/cpu/onednn.h"
#include "backend/cpu/winograd.h"

namespace dpll::cpu {
namespace {

// The kernels that will do it; null: oneDNN.
const WinogradKernels* winograd_for(const ConvGeometry& geometry) {
  const WinogradKernels* kernels = winograd_kernels();
  return kernels != nullptr && winograd_suits(geometry, *kernels) ? kernels : nullptr;
}

}  // namespace

std::unique_ptr<Convolution> make_conv_forward(const ConvGeometry& geometry, bool bias, int lanes) {
  const WinogradKernels* kernels = bias ? nullptr : winograd_for(geometry);
  return kernels != nullptr ? winograd_forward(geometry, *kernels) : onednn_forward(geometry, bias, lanes);
}

std::unique_ptr<Convolution> make_conv_backward_data(const ConvGeometry& geometry, int lanes) {
  const WinogradKernels* kernels = winograd_for(geometry);
  return kernels != nullptr ? winograd_backward_data(geometry, *kernels)
                            : onednn_backward_data(geometry, lanes);
}

std::unique_ptr<WeightGradient> make_conv_backward_weight(const ConvGeometry& geometry) {
  return onednn_backward_weight(geometry);
}

bool has_partial_weight_gradient(const ConvGeometry& geometry) {
  return winograd_for(geometry) != nullptr;
}

std::unique_ptr<PartialWeightGradient> make_partial_weight_gradient(const ConvGeometry& geometry) {
  const WinogradKernels* kernels = winograd_for(geometry);
  return kernels != nullptr ? winograd_backward_weight(geometry, *kernels) : nullptr;
}

}  // namespace dpll::cpu
