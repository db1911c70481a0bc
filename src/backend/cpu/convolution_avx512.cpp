// The convolutions' inner loops for processors with AVX-512: the only file that is compiled for them alone.
#include "backend/cpu/convolution_kernels.h"

#if DPLL_KERNELS_X86

namespace dpll::cpu {
namespace {

constexpr int kLanes = 16, kRows = 12;
constexpr const char* kName = "AVX-512";

#include "backend/cpu/convolution_kernels.inc"

}  // namespace

const ConvolutionKernels* convolution_kernels_avx512() {
  return &kKernels;
}

}  // namespace dpll::cpu

#endif
