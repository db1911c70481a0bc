// The convolutions' inner loops for 64-bit ARM: every such processor has NEON, so the compiler's own flags
// do.
#include "backend/cpu/convolution_kernels.h"

#if DPLL_KERNELS_NEON

namespace dpll::cpu {
namespace {

constexpr int kLanes = 4, kRows = 12;
constexpr const char* kName = "NEON";

#include "backend/cpu/convolution_kernels.inc"

}  // namespace

const ConvolutionKernels* convolution_kernels_neon() {
  return &kKernels;
}

}  // namespace dpll::cpu

#endif
