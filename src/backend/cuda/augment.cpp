// augment on the GPU.
#include "augment.h"

#include "backend/cuda/cuda_ops.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

// What a block of any GPU since sm_80 may use.
constexpr std::size_t kSharedBytes = 99 * 1024;

class CudaAugment final : public Augment {
 public:
  CudaAugment(const Context& context, const AugmentSpec& spec) : context_(context), spec_(spec) {
    check_spec(spec);
    if (augment_shared_bytes(spec) > kSharedBytes) {
      fail(ExitCode::device,
           "images of {} x {} x {} are too large for augmentation on the GPU: two must fit into {} bytes",
           spec.height, spec.width, spec.channels, kSharedBytes);
    }
    const PreparedPolicy both[2] = {prepare_policy(spec.weak, spec.height, spec.width),
                                    prepare_policy(spec.strong, spec.height, spec.width)};
    policies_ = context.runtime.allocate(sizeof(both));
    if (policies_ == nullptr) fail(ExitCode::device, "not enough GPU memory for the augmentation's policies");
    context.runtime.copy_in(policies_, both, sizeof(both));
  }
  ~CudaAugment() override { context_.runtime.release(policies_); }
  CudaAugment(const CudaAugment&) = delete;
  CudaAugment& operator=(const CudaAugment&) = delete;

  void run(const AugmentCall& call) override {
    check_type(context_, call.images, "images");
    const auto* const policies = static_cast<const PreparedPolicy*>(policies_);
    augment({.spec = spec_,
             .weak = policies,
             .strong = policies + 1,
             .images = call.images.data,
             .pixels = call.pixels.as<std::uint8_t>(),
             .step = call.rows.step,
             .order = order_of(call.rows),
             .ahead = call.rows.ahead},
            context_.compute, call.beside ? context_.side.begin() : context_.stream());
  }

 private:
  Context context_;
  AugmentSpec spec_;
  void* policies_ = nullptr;  // weak, strong
};

}  // namespace

std::unique_ptr<Augment> make_augment(const Context& context, const AugmentSpec& spec) {
  return std::make_unique<CudaAugment>(context, spec);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
