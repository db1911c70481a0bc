#include "backend/observed_backend.h"

#include <utility>

namespace dpll {
namespace {

template <typename Call>
concept Saves = requires(Call call) {
  call.saved;
};

template <typename Call>
concept HasSide = requires(Call call) {
  call.side;
};
template <typename Call>
concept MayBeBeside = requires(Call call) {
  call.beside;
};

// An observer looks at what an operation leaves when it returns: all of it is done in the usual queue.
template <typename Spec, typename Call, typename Run>
void show(const CallObserver& observer, const char* op, const char* pass, const Spec& spec, const Call& call,
          std::size_t saved_bytes, const Run& run) {
  if (observer) {
    Call in_line = call;
    if constexpr (HasSide<Call>) in_line.side.workspace = nullptr;
    if constexpr (MayBeBeside<Call>) in_line.beside = false;
    observer(OperationCall<Spec, Call>{op, pass, spec, in_line, saved_bytes, run});
  } else {
    run(call);
  }
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
    show(owner_.observer(), name_, "forward", spec_, call, saved(),
         [this](const Forward& any) { inner_->forward(any); });
  }
  void backward(const Backward& call) override {
    show(owner_.observer(), name_, "backward", spec_, call, saved(),
         [this](const Backward& any) { inner_->backward(any); });
  }

 protected:
  const Interface& inner() const { return *inner_; }
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
class ObservedSavingLayer : public ObservedLayer<Interface, Spec, Forward, Backward> {
 public:
  using ObservedLayer<Interface, Spec, Forward, Backward>::ObservedLayer;
  std::size_t saved_bytes() const override { return this->saved(); }
};

// One that may use a second queue.
template <typename Layer>
class ObservedSideLayer final : public Layer {
 public:
  using Layer::Layer;
  std::size_t side_workspace_bytes() const override { return this->inner().side_workspace_bytes(); }
};

// An operation with one pass.
template <typename Interface, typename Spec, typename Call>
class ObservedRun : public Interface {
 public:
  ObservedRun(const ObservedBackend& owner, const char* name, const Spec& spec,
              std::unique_ptr<Interface> inner)
      : owner_(owner), name_(name), spec_(spec), inner_(std::move(inner)) {}

  void run(const Call& call) override {
    show(owner_.observer(), name_, "run", spec_, call, 0, [this](const Call& any) { inner_->run(any); });
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

std::unique_ptr<PreactConv> ObservedBackend::make_preact_conv(const PreactConvSpec& spec) {
  using Layer = ObservedSavingLayer<PreactConv, PreactConvSpec, PreactConvForward, PreactConvBackward>;
  return std::make_unique<ObservedSideLayer<Layer>>(*this, "preact_conv", spec,
                                                    inner_.make_preact_conv(spec));
}

std::unique_ptr<BnReluPool> ObservedBackend::make_bn_relu_pool(const BnReluPoolSpec& spec) {
  using Layer = ObservedSavingLayer<BnReluPool, BnReluPoolSpec, BnReluPoolForward, BnReluPoolBackward>;
  return std::make_unique<Layer>(*this, "bn_relu_pool", spec, inner_.make_bn_relu_pool(spec));
}

std::unique_ptr<Linear> ObservedBackend::make_linear(const LinearSpec& spec) {
  using Layer = ObservedLayer<Linear, LinearSpec, LinearForward, LinearBackward>;
  return std::make_unique<ObservedSideLayer<Layer>>(*this, "linear", spec, inner_.make_linear(spec));
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
  show(observer_, "cross_entropy", "run", NoSpec{}, call, 0,
       [this](const CrossEntropyCall& any) { inner_.cross_entropy(any); });
}

}  // namespace dpll
