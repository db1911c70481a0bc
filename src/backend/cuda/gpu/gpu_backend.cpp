#include "backend/cuda/gpu/gpu_backend.h"

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/gpu/nvtx.h"
#include "backend/cuda/gpu/runtime.h"
#include "backend/cuda/nccl_collectives.h"
#include "backend/cuda/vendor/cublas_product.h"
#include "backend/cuda/vendor/cudnn_api.h"
#include "backend/cuda/vendor/nccl_library.h"
#include "backend/cuda/vendor/vendor_library.h"
#include "dpll/core/check.h"

namespace dpll {

// Of sources that nvcc compiles, see check.h.
[[noreturn]] void check_failed(const char* file, int line, const char* condition) {
  fail(ExitCode::internal, "{}:{}: {}", file, line, condition);
}

namespace {

class CudaPort final : public GpuPort {
 public:
  std::vector<GpuFacts> list() override { return cuda::list_gpus(); }
  std::string libraries() override {
    return fmt::format("{}, cuDNN {}, {}", cuda::driver_text(), cuda::cudnn().version.text(),
                       cuda::description(*cuda::open_cublas()));
  }
  std::size_t free_bytes(int index) override { return cuda::make_gpu_runtime(index)->free_bytes(); }
  std::unique_ptr<Backend> make(const GpuOptions& options) override;
};

std::unique_ptr<Backend> CudaPort::make(const GpuOptions& options) {
  if (trace::sink == nullptr) trace::sink = &cuda::nvtx_ranges();
  const cuda::EngineRules rules{.deterministic = options.deterministic, .tf32 = options.tf32};
  std::unique_ptr<cuda::Runtime> runtime = cuda::make_gpu_runtime(options.index);
  std::unique_ptr<cuda::MathLibrary> math =
      cuda::make_vendor_library({runtime->stream(), runtime->side_stream()}, rules);
  cuda::TuningOptions tuning{
      .enabled = options.tuning,
      .prove = true,
      .deterministic = rules.deterministic,
      .tf32 = rules.tf32,
      .seconds = options.tuning_seconds,
      .identity =
          fmt::format("{}, {}, {}, {}", runtime->description(), math->description(),
                      rules.deterministic ? "deterministic" : "any engine", rules.tf32 ? "tf32" : "no tf32"),
      .cache_folder = options.tuning_cache,
      .known_choices = options.choices,
      .warn = options.warn,
      .progress = options.progress};
  return cuda::make_backend(std::move(runtime), std::move(math), options.compute, std::move(tuning),
                            [gpu = options.index](Ranks& ranks) {
                              return cuda::make_nccl_collectives(cuda::nccl(), ranks,
                                                                 [gpu] { cuda::use_gpu(gpu); });
                            });
}

}  // namespace

GpuPort& cuda_port() {
  static CudaPort port;
  return port;
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
         line([] { return cuda::nccl_version_text(cuda::nccl()); }) + "\n" + line([] {
           std::string gpus;
           for (const GpuFacts& gpu : cuda::list_gpus()) {
             gpus += fmt::format("{}{}: {}, sm_{}", gpus.empty() ? "GPU " : "; GPU ", gpu.index, gpu.name,
                                 gpu.architecture);
           }
           return gpus;
         });
}

}  // namespace dpll
