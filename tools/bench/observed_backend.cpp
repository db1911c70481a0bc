#include "bench/observed_backend.h"

#include <utility>

namespace dpll::bench {
namespace {

struct CopyFields {
  CallMemory& memory;

  void operator()(Tensor& tensor, Access /*access*/) {
    if (tensor.defined()) tensor.data = memory.copy_of(tensor.data, tensor.bytes());
  }
  template <typename Struct>
  void operator()(Struct*& in_backend_memory, Access /*access*/) {
    in_backend_memory = static_cast<Struct*>(memory.copy_of(in_backend_memory, sizeof(Struct)));
  }
};

struct SizeOfFields {
  std::size_t bytes = 0;

  void operator()(const Tensor& tensor, Access /*access*/) {
    if (tensor.defined()) bytes += tensor.bytes();
  }
  template <typename Struct>
  void operator()(Struct* /*in_backend_memory*/, Access /*access*/) {
    bytes += sizeof(Struct);
  }
};

template <typename Call>
concept Saves = requires(Call call) {
  call.saved;
};

// Shows `call`, which `run` runs on any copy of it.
template <typename Call, typename Run>
void show(const Observer& observer, const char* op, const char* pass, const Work& work, const Call& call,
          std::size_t saved_bytes, Run run) {
  if (!observer) return;
  Call fields = call;
  SizeOfFields size;
  visit_fields(fields, size);
  observer({.op = op,
            .pass = pass,
            .work = work,
            .bytes = size.bytes + saved_bytes,
            .copy = [&call, saved_bytes, run](CallMemory& memory) -> std::function<void()> {
              Call copy = call;
              visit_fields(copy, CopyFields{memory});
              // 0, and not looked at, for calls that save nothing.
              [[maybe_unused]] const std::size_t saved = saved_bytes;
              if constexpr (Saves<Call>) {
                if (saved > 0) copy.saved = memory.copy_of(copy.saved, saved);
              }
              return [copy, run] { run(copy); };
            }});
}

// An operation with two passes.
template <typename Interface, typename Spec, typename Forward, typename Backward>
class ObservedLayer : public Interface {
 public:
  ObservedLayer(const ObservedBackend& owner, const char* name, const Spec& spec,
                std::unique_ptr<Interface> inner)
      : owner_(owner), name_(name), spec_(spec), inner_(std::move(inner)) {}

  std::size_t workspace_bytes() const override { return inner_->workspace_bytes(); }
  void forward(const Forward& call) override {
    inner_->forward(call);
    show(owner_.observer(), name_, "forward", work_of(spec_, call), call, saved(),
         [this](const Forward& copy) { inner_->forward(copy); });
  }
  void backward(const Backward& call) override {
    inner_->backward(call);
    show(owner_.observer(), name_, "backward", work_of(spec_, call), call, saved(),
         [this](const Backward& copy) { inner_->backward(copy); });
  }

 protected:
  std::size_t saved() const {
    if constexpr (Saves<Forward>) {
      return inner_->saved_bytes();
    } else {
      return 0;
    }
  }

 private:
  const ObservedBackend& owner_;
  const char* name_;
  Spec spec_;
  std::unique_ptr<Interface> inner_;
};

// One that saves something in between.
template <typename Interface, typename Spec, typename Forward, typename Backward>
class ObservedSavingLayer final : public ObservedLayer<Interface, Spec, Forward, Backward> {
 public:
  using ObservedLayer<Interface, Spec, Forward, Backward>::ObservedLayer;
  std::size_t saved_bytes() const override { return this->saved(); }
};

// An operation with one pass.
template <typename Interface, typename Spec, typename Call>
class ObservedRun : public Interface {
 public:
  ObservedRun(const ObservedBackend& owner, const char* name, const Spec& spec,
              std::unique_ptr<Interface> inner)
      : owner_(owner), name_(name), spec_(spec), inner_(std::move(inner)) {}

  void run(const Call& call) override {
    inner_->run(call);
    show(owner_.observer(), name_, "run", work_of(spec_, call), call, 0,
         [this](const Call& copy) { inner_->run(copy); });
  }

 protected:
  const Interface& inner() const { return *inner_; }

 private:
  const ObservedBackend& owner_;
  const char* name_;
  Spec spec_;
  std::unique_ptr<Interface> inner_;
};

class ObservedObjective final : public ObservedRun<PllObjective, PllObjectiveSpec, PllObjectiveCall> {
 public:
  using ObservedRun::ObservedRun;
  std::size_t workspace_bytes() const override { return inner().workspace_bytes(); }
};

}  // namespace

void* CallMemory::copy_of(const void* data, std::size_t bytes) {
  const auto found = copies_.find(data);
  if (found != copies_.end()) {
    DPLL_CHECK(found->second.bytes() == bytes, "a block of {} bytes was copied as {}", bytes,
               found->second.bytes());
    return found->second.data();
  }
  Buffer copy = backend_.allocate(bytes, "a copy of a call's tensors");
  const Shape shape{static_cast<std::int64_t>(bytes)};
  backend_.copy(copy.tensor(DType::u8, shape), {const_cast<void*>(data), DType::u8, shape});
  return copies_.emplace(data, std::move(copy)).first->second.data();
}

std::unique_ptr<PreactConv> ObservedBackend::make_preact_conv(const PreactConvSpec& spec) {
  using Layer = ObservedSavingLayer<PreactConv, PreactConvSpec, PreactConvForward, PreactConvBackward>;
  return std::make_unique<Layer>(*this, "preact_conv", spec, inner_.make_preact_conv(spec));
}

std::unique_ptr<BnReluPool> ObservedBackend::make_bn_relu_pool(const BnReluPoolSpec& spec) {
  using Layer = ObservedSavingLayer<BnReluPool, BnReluPoolSpec, BnReluPoolForward, BnReluPoolBackward>;
  return std::make_unique<Layer>(*this, "bn_relu_pool", spec, inner_.make_bn_relu_pool(spec));
}

std::unique_ptr<Linear> ObservedBackend::make_linear(const LinearSpec& spec) {
  using Layer = ObservedLayer<Linear, LinearSpec, LinearForward, LinearBackward>;
  return std::make_unique<Layer>(*this, "linear", spec, inner_.make_linear(spec));
}

std::unique_ptr<PllObjective> ObservedBackend::make_pll_objective(const PllObjectiveSpec& spec) {
  return std::make_unique<ObservedObjective>(*this, "pll_objective", spec, inner_.make_pll_objective(spec));
}

std::unique_ptr<Sgd> ObservedBackend::make_sgd(const SgdSpec& spec) {
  return std::make_unique<ObservedRun<Sgd, SgdSpec, SgdCall>>(*this, "sgd", spec, inner_.make_sgd(spec));
}

std::unique_ptr<Augment> ObservedBackend::make_augment(const AugmentSpec& spec) {
  return std::make_unique<ObservedRun<Augment, AugmentSpec, AugmentCall>>(*this, "augment", spec,
                                                                          inner_.make_augment(spec));
}

std::unique_ptr<FeatureViews> ObservedBackend::make_feature_views(const FeatureViewsSpec& spec) {
  using Op = ObservedRun<FeatureViews, FeatureViewsSpec, FeatureViewsCall>;
  return std::make_unique<Op>(*this, "feature_views", spec, inner_.make_feature_views(spec));
}

void ObservedBackend::cross_entropy(const CrossEntropyCall& call) {
  inner_.cross_entropy(call);
  show(observer_, "cross_entropy", "run", work_of(call), call, 0,
       [this](const CrossEntropyCall& copy) { inner_.cross_entropy(copy); });
}

}  // namespace dpll::bench
