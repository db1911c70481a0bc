#include "backend/gpu_port.h"

#if defined(DPLL_WITH_CUDA)
#include "backend/cuda/gpu/gpu_backend.h"
#endif

namespace dpll {
namespace {

GpuPort* built_in() {
#if defined(DPLL_WITH_CUDA)
  return &cuda_port();
#else
  return nullptr;
#endif
}

GpuPort*& current() {
  static GpuPort* port = built_in();
  return port;
}

}  // namespace

GpuPort* gpu_port() {
  return current();
}

void set_gpu_port(GpuPort* port) {
  current() = port;
}

}  // namespace dpll
