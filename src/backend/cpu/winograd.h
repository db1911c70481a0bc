// 3x3 convolutions by Winograd's minimal filtering F(2x2, 3x3) (Lavin & Gray 2016): 16 multiplications where
// the sum itself has 36. All coefficients are 0, 1 and 1/2 and their negatives, so that float32 loses nothing
// by it: the error is no larger than that of a plain sum (tests/unit/winograd_test.cpp).
#pragma once

#include <memory>

#include "backend/cpu/convolution.h"
#include "backend/cpu/convolution_kernels.h"

namespace dpll::cpu {

// Whether these kernels can compute such a convolution: 3x3, stride 1, padding 1, channels a multiple of a
// vector.
bool winograd_suits(const ConvGeometry& geometry, const ConvolutionKernels& kernels);

// As the factories of convolution.h, for geometries that suit.
std::unique_ptr<Convolution> winograd_forward(const ConvGeometry& geometry,
                                              const ConvolutionKernels& kernels);
std::unique_ptr<Convolution> winograd_backward_data(const ConvGeometry& geometry,
                                                    const ConvolutionKernels& kernels);
std::unique_ptr<PartialWeightGradient> winograd_backward_weight(const ConvGeometry& geometry,
                                                                const ConvolutionKernels& kernels);

}  // namespace dpll::cpu
