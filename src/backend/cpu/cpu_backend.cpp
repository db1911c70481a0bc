// The CPU backend: float32, oneDNN for convolutions and products, OpenMP for everything else.
#include <omp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "backend/cpu/convolution.h"
#include "backend/cpu/convolution_kernels.h"
#include "backend/cpu/cpu_ops.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/usable_threads.h"
#include "backend/host_memory.h"
#include "backend/host_readback.h"
#include "dpll/backend.h"

namespace dpll {
namespace {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const CpuOptions& options)
      : threads_(cpu::choose_threads(options.threads).count), products_(options.products) {
    DPLL_CHECK(products_ == DType::f32 || products_ == DType::bf16, "products in {}", name_of(products_));
    if (products_ == DType::bf16 && !cpu::has_fast_bf16()) {
      fail(ExitCode::device,
           "run.precision = bf16: this processor has no instructions for it (AVX512_BF16 or AMX), {}; f32 "
           "would be "
           "right",
           cpu::onednn_description());
    }
    omp_set_dynamic(0);
    omp_set_num_threads(threads_);
  }

  std::string name() const override { return "cpu"; }
  std::string description() const override {
    return fmt::format("cpu, {} thread{}, {}, instruction set: {}, {}", threads_, threads_ == 1 ? "" : "s",
                       products_ == DType::f32 ? "float32" : "convolutions in bf16, all else float32",
                       cpu_instruction_set(), cpu::onednn_description());
  }
  DType compute_dtype() const override { return DType::f32; }
  DType master_dtype() const override { return DType::f32; }
  DType product_dtype() const override { return products_; }
  ConvWeightLayout conv_weight_layout() const override { return ConvWeightLayout::oihw; }
  bool host_addressable() const override { return true; }
  bool is_asynchronous() const override { return false; }
  bool is_gpu() const override { return false; }

  std::size_t available_bytes() const override { return host_memory_left(held_bytes()); }
  void copy_in(const Tensor& to, const void* from_host) override {
    std::memcpy(to.data, from_host, to.bytes());
  }
  void copy_out(void* to_host, const Tensor& from) override { std::memcpy(to_host, from.data, from.bytes()); }
  void copy(const Tensor& to, const Tensor& from) override {
    DPLL_CHECK(to.bytes() == from.bytes(), "{} bytes to {}", from.bytes(), to.bytes());
    constexpr std::size_t kPiece = std::size_t{1} << 20;
    const std::size_t bytes = from.bytes();
    const auto pieces = static_cast<std::int64_t>((bytes + kPiece - 1) / kPiece);
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < pieces; ++i) {
      const std::size_t begin = static_cast<std::size_t>(i) * kPiece;
      std::memcpy(static_cast<std::byte*>(to.data) + begin, static_cast<const std::byte*>(from.data) + begin,
                  std::min(kPiece, bytes - begin));
    }
  }
  void fill_zero(const Tensor& tensor) override {
    std::memset(tensor.data, 0, tensor.bytes());
  }
  void synchronize() override {}
  std::unique_ptr<Readback> make_readback(std::size_t bytes) override {
    return std::make_unique<HostReadback>(bytes);
  }
  std::function<void()> record(std::function<void()> sequence) override {
    return sequence;
  }

  std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec) override {
    return cpu::make_preact_conv(spec, products_);
  }
  std::unique_ptr<BnReluPool> make_bn_relu_pool(const BnReluPoolSpec& spec) override {
    return cpu::make_bn_relu_pool(spec);
  }
  std::unique_ptr<Linear> make_linear(const LinearSpec& spec) override {
    return cpu::make_linear(spec);
  }
  std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) override {
    return cpu::make_pll_objective(spec);
  }
  std::unique_ptr<Sgd> make_sgd(const SgdSpec& spec) override {
    return cpu::make_sgd(spec);
  }
  std::unique_ptr<Augment> make_augment(const AugmentSpec& spec) override {
    return cpu::make_augment(spec);
  }
  std::unique_ptr<FeatureViews> make_feature_views(const FeatureViewsSpec& spec) override {
    return cpu::make_feature_views(spec);
  }
  void cross_entropy(const CrossEntropyCall& call) override {
    cpu::cross_entropy(call);
  }
  void advance(const AdvanceCall& call) override {
    advance_step(call);
  }

 protected:
  void* take(std::size_t bytes, const std::string& what) override {
    // Whole 2 MiB pages where it pays: fewer page faults on the large activation arenas.
    const std::size_t alignment = bytes >= (std::size_t{1} << 22) ? std::size_t{1} << 21 : 64;
    const std::size_t size = (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
    const std::size_t installed = installed_memory();
    void* data = size <= installed ? std::aligned_alloc(alignment, size) : nullptr;
    // Where the system gives such pages only to those who ask. A refusal costs speed and nothing else.
    if (data != nullptr && alignment > 64) (void)madvise(data, size, MADV_HUGEPAGE);
    if (data == nullptr) {
      fail(ExitCode::device, "not enough memory for {}: {:.1f} MiB asked for, the machine has {:.1f} MiB",
           what, static_cast<double>(size) / 0x1p20, static_cast<double>(installed) / 0x1p20);
    }
    std::memset(data, 0, size);
    return data;
  }
  void release(void* data) noexcept override {
    std::free(data);
  }

 private:
  int threads_;
  DType products_;
};

}  // namespace

std::string cpu_instruction_set() {
  if (const cpu::ConvolutionKernels* kernels = cpu::convolution_kernels()) return kernels->name;
#if defined(__x86_64__)
  return "SSE2 (this processor has no AVX2; training is slow)";
#else
  return "none of the known ones (training is slow)";
#endif
}

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options) {
  return std::make_unique<CpuBackend>(options);
}

}  // namespace dpll
