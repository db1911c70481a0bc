// The gradients of convolutions of any kernel and stride as products of matrices that lie in the activations
// already: in NHWC the taps of a row of the kernel are neighbours, and pixels of a row are a constant
// distance apart, so that nothing has to be gathered. The gradient to the input is taken by the remainders of
// a pixel's coordinates by the stride: those with the same remainders see the same taps and form a
// convolution of stride 1. At the borders the products are cut instead of padded. (A forward pass by the same
// products was no faster than oneDNN's.)
#pragma once

#include <memory>

#include "backend/cpu/convolution.h"
#include "backend/cpu/convolution_kernels.h"

namespace dpll::cpu {

// Whether these kernels can compute such a convolution: channels a multiple of a vector, padding smaller than
// the kernel.
bool direct_suits(const ConvGeometry& geometry, const ConvolutionKernels& kernels);

// As the factories of convolution.h, for geometries that suit.
std::unique_ptr<Convolution> direct_backward_data(const ConvGeometry& geometry,
                                                  const ConvolutionKernels& kernels);
std::unique_ptr<PartialWeightGradient> direct_backward_weight(const ConvGeometry& geometry,
                                                              const ConvolutionKernels& kernels);

}  // namespace dpll::cpu
