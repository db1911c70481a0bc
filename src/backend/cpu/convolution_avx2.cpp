// The convolutions' inner loops for processors with AVX2: the only file that is compiled for them alone.
#include "backend/cpu/convolution_kernels.h"

#if DPLL_KERNELS_X86

namespace dpll::cpu {
namespace {

constexpr int kLanes = 8, kRows = 6;
constexpr const char* kName = "AVX2";

#include "backend/cpu/convolution_kernels.inc"

}  // namespace

const ConvolutionKernels* convolution_kernels_avx2() {
  return &kKernels;
}

}  // namespace dpll::cpu

#endif
