// 3x3 convolutions by Winograd's minimal filtering (Lavin & Gray 2016), in float32. F(2x4, 3x3) has 24
// multiplications where the sums themselves have 72, F(2x2, 3x3) 16 instead of 36. The coefficients of the
// latter are 0, 1 and 1/2 and their negatives, and its error is smaller than that of a plain sum. The
// former's are larger, but the sums over channels are shorter and added up in pieces: with 64 channels the
// error is 0.85 of a plain sum's, with 32 it is 1.16, and with fewer F(2x2, 3x3) is taken
// (tests/unit/winograd_test.cpp). F(4x4, 3x3) would have 1.4 times a plain sum's
// error or more below 128 channels.
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
