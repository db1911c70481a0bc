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
