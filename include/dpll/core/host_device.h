// Functions marked DPLL_HD compile for the host and, in CUDA sources, for the device as well, so that both
// backends run the same arithmetic. DPLL_HD is for free functions in headers, DPLL_HD_MEMBER for members.
#pragma once

#if defined(__CUDACC__)
#define DPLL_HD __host__ __device__ inline
#define DPLL_HD_MEMBER __host__ __device__
#else
#define DPLL_HD inline
#define DPLL_HD_MEMBER
#endif

namespace dpll {

// Each of these rounds once, on the host and on the device, and is never contracted into a fused
// multiply-add. They are for arithmetic that must give the same bits everywhere. Host files are compiled with
// -ffp-contract=off.
#if defined(__CUDA_ARCH__)
DPLL_HD float rounded_product(float a, float b) {
  return __fmul_rn(a, b);
}
DPLL_HD float rounded_sum(float a, float b) {
  return __fadd_rn(a, b);
}
DPLL_HD double rounded_product(double a, double b) {
  return __dmul_rn(a, b);
}
DPLL_HD double rounded_sum(double a, double b) {
  return __dadd_rn(a, b);
}
#else
DPLL_HD float rounded_product(float a, float b) {
  return a * b;
}
DPLL_HD float rounded_sum(float a, float b) {
  return a + b;
}
DPLL_HD double rounded_product(double a, double b) {
  return a * b;
}
DPLL_HD double rounded_sum(double a, double b) {
  return a + b;
}
#endif

}  // namespace dpll
