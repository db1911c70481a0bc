// The CUDA backend is compiled twice: for the GPU, and by the host compiler for the emulator of
// tests/emulation. One test program may hold both, so each has a namespace of its own: write
// `namespace dpll::DPLL_CUDA_NAMESPACE`.
#pragma once

#if defined(DPLL_CUDA_NAMESPACE)
// given: a deliberately broken copy, tests/emulation/emulation.cmake
#elif defined(DPLL_EMULATED)
#define DPLL_CUDA_NAMESPACE emulated_cuda
#else
#define DPLL_CUDA_NAMESPACE cuda
#endif

struct CUstream_st;

namespace dpll::DPLL_CUDA_NAMESPACE {

// cudaStream_t, without CUDA's headers.
using Stream = CUstream_st*;

}  // namespace dpll::DPLL_CUDA_NAMESPACE
