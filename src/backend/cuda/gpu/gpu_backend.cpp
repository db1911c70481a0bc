#include "backend/cuda/gpu/gpu_backend.h"

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/gpu/nvtx.h"
#include "backend/cuda/gpu/runtime.h"
#include "backend/cuda/vendor/cudnn_api.h"
#include "backend/cuda/vendor/vendor_library.h"
#include "dpll/core/check.h"

namespace dpll {

// Of sources that nvcc compiles, see check.h.
[[noreturn]] void check_failed(const char* file, int line, const char* condition) {
  fail(ExitCode::internal, "{}:{}: {}", file, line, condition);
}

std::unique_ptr<Backend> make_gpu_backend(const GpuOptions& options) {
  if (trace::sink == nullptr) trace::sink = &cuda::nvtx_ranges();
  const cuda::EngineRules rules{.deterministic = options.deterministic, .tf32 = options.tf32};
  std::unique_ptr<cuda::Runtime> runtime = cuda::make_gpu_runtime(0);
  std::unique_ptr<cuda::MathLibrary> math = cuda::make_vendor_library(runtime->stream(), rules);
  cuda::TuningOptions tuning{
      .enabled = options.tuning,
      .deterministic = rules.deterministic,
      .tf32 = rules.tf32,
      .identity =
          fmt::format("{}, {}, {}, {}", runtime->description(), math->description(),
                      rules.deterministic ? "deterministic" : "any engine", rules.tf32 ? "tf32" : "no tf32"),
      .cache_folder = options.tuning_cache,
      .known_choices = options.choices,
      .warn = options.warn};
  return cuda::make_backend(std::move(runtime), std::move(math), options.compute, std::move(tuning));
}

int gpu_architecture() {
  return cuda::gpu_architecture(0);
}

std::string gpu_version_text() {
  const auto line = [](auto&& describe) -> std::string {
    try {
      return describe();
    } catch (const Error& error) {
      return error.what();
    }
  };
  return line([] { return fmt::format("cuDNN {}", cuda::cudnn().version.text()); }) + "\n" +
         line([] { return "GPU: " + cuda::make_gpu_runtime(0)->description(); });
}

}  // namespace dpll
