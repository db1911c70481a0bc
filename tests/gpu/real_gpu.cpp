#include "gpu/real_gpu.h"

#include "dpll/build_info.h"
#include "dpll/core/check.h"
#if DPLL_HAVE_CUDA
#include "backend/cuda/gpu/gpu_backend.h"
#endif

namespace dpll::test {
namespace {

RealGpu find() {
#if DPLL_HAVE_CUDA
  try {
    // Never destroyed: the CUDA runtime may be gone when static objects are.
    return {make_gpu_backend({}).release(), ""};
  } catch (const Error& error) {
    return {nullptr, error.what()};
  }
#else
  return {nullptr, "this build has no CUDA"};
#endif
}

}  // namespace

const RealGpu& real_gpu() {
  static const RealGpu found = find();
  return found;
}

}  // namespace dpll::test
