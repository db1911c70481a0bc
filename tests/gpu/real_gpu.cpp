#include "gpu/real_gpu.h"

#include <map>

#include "dpll/build_info.h"
#include "dpll/core/check.h"
#if DPLL_HAVE_CUDA
#include "backend/cuda/gpu/gpu_backend.h"
#endif

namespace dpll::test {
namespace {

RealGpu find([[maybe_unused]] DType compute) {
#if DPLL_HAVE_CUDA
  try {
    // Never destroyed: the CUDA runtime may be gone when static objects are.
    return {make_gpu_backend({.compute = compute}).release(), ""};
  } catch (const Error& error) {
    return {nullptr, error.what()};
  }
#else
  return {nullptr, "this build has no CUDA"};
#endif
}

}  // namespace

const RealGpu& real_gpu(DType compute) {
  static std::map<DType, RealGpu> found;
  const auto known = found.find(compute);
  return known != found.end() ? known->second : found.emplace(compute, find(compute)).first->second;
}

}  // namespace dpll::test
