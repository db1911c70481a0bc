// A Backend that passes everything on to another one and shows an observer every call of an operation. So the
// work of a step is counted where it is done, and benchmarks time the very calls that tests and training
// make.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/work.h"

namespace dpll::bench {

// Copies of a call's memory, freed together.
class CallMemory {
 public:
  explicit CallMemory(Backend& backend) : backend_(backend) {}
  // The copy of the block at `data`; the same block gives the same copy, so that tensors which share memory
  // do so in the copies.
  void* copy_of(const void* data, std::size_t bytes);

 private:
  Backend& backend_;
  std::map<const void*, Buffer> copies_;
};

struct ObservedCall {
  const char* op = "";    // "preact_conv"
  const char* pass = "";  // "forward", "backward" or "run"
  Work work;
  std::size_t bytes = 0;  // of what copy() copies
  // Copies all that the call works on, but for the workspace; returns what runs the operation on the copy. To
  // be used while the observer is running and `memory` lives.
  std::function<std::function<void()>(CallMemory& memory)> copy;
};
// Called when the call has run.
using Observer = std::function<void(const ObservedCall&)>;

class ObservedBackend : public Backend {
 public:
  explicit ObservedBackend(Backend& inner) : inner_(inner) {}

  void observe(Observer observer) { observer_ = std::move(observer); }
  const Observer& observer() const { return observer_; }
  Backend& inner() { return inner_; }

  std::string name() const override { return inner_.name(); }
  std::string description() const override { return inner_.description(); }
  DType compute_dtype() const override { return inner_.compute_dtype(); }
  DType master_dtype() const override { return inner_.master_dtype(); }
  DType weight_dtype() const override { return inner_.weight_dtype(); }
  ConvWeightLayout conv_weight_layout() const override { return inner_.conv_weight_layout(); }
  int image_channels(int channels) const override { return inner_.image_channels(channels); }
  std::string tuning_choices() const override { return inner_.tuning_choices(); }
  bool host_addressable() const override { return inner_.host_addressable(); }

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
  Observer observer_;
  std::map<void*, Buffer> blocks_;
};

}  // namespace dpll::bench
