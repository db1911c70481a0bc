// A Backend that passes everything on to another one and hands every call of an operation to an observer,
// which runs it. Benchmarks count and time the calls that tests and training make; device = check reads what
// an operation is given and what it leaves.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "dpll/backend.h"

namespace dpll {

struct NoSpec {};  // of operations that are made without one

// A call that an operation was asked for. All references live as long as the observer runs.
template <typename SpecOf, typename CallOf>
struct OperationCall {
  using Spec = SpecOf;
  using Call = CallOf;
  const char* op = "";    // "preact_conv"
  const char* pass = "";  // "forward", "backward" or "run"
  const Spec& spec;
  const Call& call;
  std::size_t saved_bytes = 0;           // of call.saved
  std::function<void(const Call&)> run;  // the operation, on this call or on a copy of it
};

using AnyCall =
    std::variant<OperationCall<PreactConvSpec, PreactConvForward>,
                 OperationCall<PreactConvSpec, PreactConvBackward>,
                 OperationCall<BnReluPoolSpec, BnReluPoolForward>,
                 OperationCall<BnReluPoolSpec, BnReluPoolBackward>, OperationCall<LinearSpec, LinearForward>,
                 OperationCall<LinearSpec, LinearBackward>, OperationCall<PllObjectiveSpec, PllObjectiveCall>,
                 OperationCall<NoSpec, CrossEntropyCall>, OperationCall<SgdSpec, SgdCall>,
                 OperationCall<AugmentSpec, AugmentCall>, OperationCall<FeatureViewsSpec, FeatureViewsCall>>;

// Called in place of the operation: it must run the call.
using CallObserver = std::function<void(const AnyCall&)>;

class ObservedBackend : public Backend {
 public:
  explicit ObservedBackend(Backend& inner) : inner_(inner) {}

  // From the next call on; an empty observer is none.
  void observe(CallObserver observer) { observer_ = std::move(observer); }
  const CallObserver& observer() const { return observer_; }
  Backend& inner() { return inner_; }

  std::string name() const override { return inner_.name(); }
  std::string description() const override { return inner_.description(); }
  DType compute_dtype() const override { return inner_.compute_dtype(); }
  DType master_dtype() const override { return inner_.master_dtype(); }
  DType product_dtype() const override { return inner_.product_dtype(); }
  DType weight_dtype() const override { return inner_.weight_dtype(); }
  ConvWeightLayout conv_weight_layout() const override { return inner_.conv_weight_layout(); }
  int side_layers() const override { return inner_.side_layers(); }
  int mark_side() override { return inner_.mark_side(); }
  void wait_side(int mark) override { inner_.wait_side(mark); }
  int padded_channels(int channels) const override { return inner_.padded_channels(channels); }
  int image_channels(int channels) const override { return inner_.image_channels(channels); }
  std::string tuning_choices() const override { return inner_.tuning_choices(); }
  bool host_addressable() const override { return inner_.host_addressable(); }
  bool is_asynchronous() const override { return inner_.is_asynchronous(); }
  bool is_gpu() const override { return inner_.is_gpu(); }

  std::size_t available_bytes() const override { return inner_.available_bytes(); }
  void copy_in(const Tensor& to, const void* from_host) override { inner_.copy_in(to, from_host); }
  void copy_out(void* to_host, const Tensor& from) override { inner_.copy_out(to_host, from); }
  void copy(const Tensor& to, const Tensor& from) override { inner_.copy(to, from); }
  void fill_zero(const Tensor& tensor) override { inner_.fill_zero(tensor); }
  void synchronize() override { inner_.synchronize(); }
  double seconds_of(const std::function<void()>& work) override { return inner_.seconds_of(work); }
  std::unique_ptr<Readback> make_readback(std::size_t bytes) override { return inner_.make_readback(bytes); }
  std::function<void()> record(std::function<void()> sequence) override {
    return inner_.record(std::move(sequence));
  }

  std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec) override;
  std::unique_ptr<BnReluPool> make_bn_relu_pool(const BnReluPoolSpec& spec) override;
  std::unique_ptr<Linear> make_linear(const LinearSpec& spec) override;
  std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) override;
  std::unique_ptr<Sgd> make_sgd(const SgdSpec& spec) override;
  std::unique_ptr<Augment> make_augment(const AugmentSpec& spec) override;
  std::unique_ptr<FeatureViews> make_feature_views(const FeatureViewsSpec& spec) override;
  void cross_entropy(const CrossEntropyCall& call) override;
  void advance(const AdvanceCall& call) override { inner_.advance(call); }  // a few words: not shown

 protected:
  void* take(std::size_t bytes, const std::string& what) override {
    Buffer buffer = inner_.allocate(bytes, what);
    void* const data = buffer.data();
    blocks_.emplace(data, std::move(buffer));
    return data;
  }
  void release(void* data) noexcept override { blocks_.erase(data); }

 private:
  Backend& inner_;
  CallObserver observer_;
  std::map<void*, Buffer> blocks_;
};

}  // namespace dpll
