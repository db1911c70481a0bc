// The reference backend: host memory, float64, no threads.
#include "dpll/backend.h"

#include <cstdlib>
#include <cstring>

#include "backend/host_memory.h"
#include "backend/host_readback.h"
#include "backend/reference/reference_ops.h"

namespace dpll {
namespace reference {

std::int64_t sample_of(const BatchRows& rows, std::int64_t r) {
  const std::int64_t position = rows.step->first + static_cast<std::uint32_t>(rows.ahead) + r;
  if (!rows.order.defined()) return position;
  DPLL_CHECK(position < rows.order.elements(), "position {} of an order of {}", position,
             rows.order.elements());
  return rows.order.as<std::int32_t>()[position];
}

std::int64_t row_in(const Tensor& table, const BatchRows& rows, std::int64_t r) {
  const std::int64_t sample = sample_of(rows, r);
  DPLL_CHECK(sample >= 0 && sample < table.shape[0], "row {} is sample {} of {}", r, sample, table.shape[0]);
  return sample;
}

}  // namespace reference

namespace {

class ReferenceBackend final : public Backend {
 public:
  std::string name() const override { return "reference"; }
  std::string description() const override { return "reference, 1 thread, float64, plain loops"; }
  DType compute_dtype() const override { return DType::f64; }
  DType master_dtype() const override { return DType::f64; }
  ConvWeightLayout conv_weight_layout() const override { return ConvWeightLayout::oihw; }
  bool host_addressable() const override { return true; }
  bool is_asynchronous() const override { return false; }
  bool is_gpu() const override { return false; }

  std::size_t available_bytes() const override { return host_memory_left(held_bytes()); }
  void copy_in(const Tensor& to, const void* from_host) override {
    std::memcpy(to.data, from_host, to.bytes());
  }
  void copy_out(void* to_host, const Tensor& from) override { std::memcpy(to_host, from.data, from.bytes()); }
  void copy(const Tensor& to, const Tensor& from) override { std::memcpy(to.data, from.data, from.bytes()); }
  void fill_zero(const Tensor& tensor) override { std::memset(tensor.data, 0, tensor.bytes()); }
  void synchronize() override {}
  std::unique_ptr<Readback> make_readback(std::size_t bytes) override {
    return std::make_unique<HostReadback>(bytes);
  }
  std::function<void()> record(std::function<void()> sequence) override { return sequence; }

  std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec) override {
    return reference::make_preact_conv(spec);
  }
  std::unique_ptr<BnReluPool> make_bn_relu_pool(const BnReluPoolSpec& spec) override {
    return reference::make_bn_relu_pool(spec);
  }
  std::unique_ptr<Linear> make_linear(const LinearSpec& spec) override {
    return reference::make_linear(spec);
  }
  std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) override {
    return reference::make_pll_objective(spec);
  }
  std::unique_ptr<Sgd> make_sgd(const SgdSpec& spec) override { return reference::make_sgd(spec); }
  std::unique_ptr<Augment> make_augment(const AugmentSpec& spec) override {
    return reference::make_augment(spec);
  }
  std::unique_ptr<FeatureViews> make_feature_views(const FeatureViewsSpec& spec) override {
    return reference::make_feature_views(spec);
  }
  void cross_entropy(const CrossEntropyCall& call) override { reference::cross_entropy(call); }
  void advance(const AdvanceCall& call) override { advance_step(call); }

 protected:
  void* take(std::size_t bytes, const std::string& what) override {
    constexpr std::size_t kAlignment = 64;
    const std::size_t size = bytes / kAlignment * kAlignment + kAlignment;
    void* data = std::aligned_alloc(kAlignment, size);
    if (data == nullptr) {
      fail(ExitCode::device, "not enough memory for {}: {:.1f} MiB asked for", what,
           static_cast<double>(bytes) / 0x1p20);
    }
    std::memset(data, 0, size);
    return data;
  }
  void release(void* data) noexcept override { std::free(data); }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() {
  return std::make_unique<ReferenceBackend>();
}

}  // namespace dpll
