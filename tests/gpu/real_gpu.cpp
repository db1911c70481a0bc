#include "gpu/real_gpu.h"

#include <map>

#include "backend/gpu_port.h"
#include "dpll/core/check.h"

namespace dpll::test {
namespace {

RealGpu find(DType compute) {
  if (gpu_port() == nullptr) return {nullptr, "this build has no CUDA"};
  try {
    // Never destroyed: the CUDA runtime may be gone when static objects are.
    return {gpu_port()->make({.compute = compute}).release(), ""};
  } catch (const Error& error) {
    return {nullptr, error.what()};
  }
}

}  // namespace

const RealGpu& real_gpu(DType compute) {
  static std::map<DType, RealGpu> found;
  const auto known = found.find(compute);
  return known != found.end() ? known->second : found.emplace(compute, find(compute)).first->second;
}

}  // namespace dpll::test
