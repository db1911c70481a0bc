#include "backend/cuda/gpu/gpu_backend.h"

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/gpu/runtime.h"
#include "backend/cuda/vendor/vendor_library.h"

namespace dpll {

std::unique_ptr<Backend> make_gpu_backend() {
  std::unique_ptr<cuda::Runtime> runtime = cuda::make_gpu_runtime(0);
  std::unique_ptr<cuda::MathLibrary> math = cuda::make_vendor_library(runtime->stream(), {});
  return cuda::make_backend(std::move(runtime), std::move(math), DType::f32);
}

}  // namespace dpll
