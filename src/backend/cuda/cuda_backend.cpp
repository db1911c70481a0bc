// The CUDA backend: kernels of ours, a vendor's convolutions and products, one stream.
#include "backend/cuda/cuda_backend.h"

#include "advance.h"
#include "backend/cuda/cuda_ops.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

double mebibytes(std::size_t bytes) {
  return static_cast<double>(bytes) / 0x1p20;
}

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::unique_ptr<Runtime> runtime, std::unique_ptr<MathLibrary> math, DType compute,
              TuningOptions tuning, CollectivesMaker collectives)
      : runtime_(std::move(runtime)),
        math_(std::move(math)),
        tuner_(*runtime_, *math_, std::move(tuning)),
        side_(*runtime_),
        make_collectives_(std::move(collectives)),
        context_{*runtime_, *math_, tuner_, side_, compute, &collectives_} {
    DPLL_CHECK(compute == DType::f32 || compute == DType::f16 || compute == DType::bf16,
               "a compute type of {}", name_of(compute));
  }

  std::string name() const override { return "cuda"; }
  std::string description() const override {
    return fmt::format("cuda, {}, {}, {}", runtime_->description(), name_of(context_.compute),
                       math_->description());
  }
  DType compute_dtype() const override { return context_.compute; }
  DType master_dtype() const override { return DType::f32; }
  DType weight_dtype() const override { return context_.compute; }
  ConvWeightLayout conv_weight_layout() const override { return ConvWeightLayout::ohwi; }
  int padded_channels(int channels) const override {
    return DPLL_CUDA_NAMESPACE::padded_channels(channels, context_.compute);
  }
  int image_channels(int channels) const override {
    return DPLL_CUDA_NAMESPACE::image_channels(channels, context_.compute);
  }
  bool host_addressable() const override { return runtime_->host_addressable(); }
  bool is_asynchronous() const override { return true; }
  bool is_gpu() const override { return true; }
  std::string tuning_choices() const override { return tuner_.choices(); }
  int proven_ways() const override { return tuner_.proven(); }

  std::size_t available_bytes() const override { return runtime_->free_bytes(); }
  void copy_in(const Tensor& to, const void* from_host) override {
    runtime_->copy_in(to.data, from_host, to.bytes());
  }
  void copy_out(void* to_host, const Tensor& from) override {
    runtime_->copy_out(to_host, from.data, from.bytes());
  }
  void copy(const Tensor& to, const Tensor& from) override {
    DPLL_CHECK(to.bytes() == from.bytes(), "{} bytes to {}", from.bytes(), to.bytes());
    runtime_->copy(to.data, from.data, from.bytes());
  }
  void fill_zero(const Tensor& tensor) override { runtime_->fill_zero(tensor.data, tensor.bytes()); }
  void synchronize() override { runtime_->synchronize(); }
  double seconds_of(const std::function<void()>& work) override {
    return runtime_->milliseconds(work) * 1e-3;
  }
  std::unique_ptr<Readback> make_readback(std::size_t bytes) override {
    return runtime_->make_readback(bytes);
  }
  std::function<void()> record(std::function<void()> sequence) override {
    return runtime_->record([&] {
      side_.forget();
      joined_ = started_;
      sequence();
    });
  }
  // More would hold more activations than the gradients of parameters can catch up with.
  int side_layers() const override { return 2; }
  int mark_side() override { return side_.mark(); }
  void wait_side(int mark) override { side_.wait(mark); }

  void meet(Ranks& ranks) override {
    if (!make_collectives_) fail(ExitCode::device, "this backend does not work with other ranks");
    if (collectives_ != nullptr) return;
    collectives_ = make_collectives_(ranks);
    runtime_->wait_by([this, &ranks](const std::function<bool()>& done) {
      try {
        ranks.wait_until([&] {
          collectives_->check();
          return done();
        });
      } catch (...) {
        leave_ranks();
        throw;
      }
    });
  }
  std::unique_ptr<Ranks::Sum> start_sum(Ranks&, const Tensor& values) override {
    DPLL_CHECK(collectives_ != nullptr, "the ranks have not met");
    const Stream stream = runtime_->ranks_stream();
    runtime_->order(stream, runtime_->stream());
    side_.order(stream);
    collectives_->all_reduce(values.data, values.elements(), values.dtype, stream);
    return std::make_unique<EnqueuedSum>(*this, ++started_);
  }
  std::size_t least_sum_bytes() const override {
    DPLL_CHECK(collectives_ != nullptr, "the ranks have not met");
    return collectives_->least_sum_bytes();
  }
  void leave_ranks() noexcept override {
    if (collectives_ == nullptr) return;
    collectives_->abandon();
    runtime_->abandon();
  }

  std::unique_ptr<PreactConv> make_preact_conv(const PreactConvSpec& spec) override {
    return DPLL_CUDA_NAMESPACE::make_preact_conv(context_, spec);
  }
  std::unique_ptr<BnReluPool> make_bn_relu_pool(const BnReluPoolSpec& spec) override {
    return DPLL_CUDA_NAMESPACE::make_bn_relu_pool(context_, spec);
  }
  std::unique_ptr<Linear> make_linear(const LinearSpec& spec) override {
    return DPLL_CUDA_NAMESPACE::make_linear(context_, spec);
  }
  std::unique_ptr<PllObjective> make_pll_objective(const PllObjectiveSpec& spec) override {
    return DPLL_CUDA_NAMESPACE::make_pll_objective(context_, spec);
  }
  std::unique_ptr<Sgd> make_sgd(const SgdSpec& spec) override {
    return DPLL_CUDA_NAMESPACE::make_sgd(context_, spec);
  }
  std::unique_ptr<Augment> make_augment(const AugmentSpec& spec) override {
    return DPLL_CUDA_NAMESPACE::make_augment(context_, spec);
  }
  std::unique_ptr<FeatureViews> make_feature_views(const FeatureViewsSpec& spec) override {
    return DPLL_CUDA_NAMESPACE::make_feature_views(context_, spec);
  }
  void cross_entropy(const CrossEntropyCall& call) override {
    DPLL_CUDA_NAMESPACE::cross_entropy(context_, call);
  }
  void advance(const AdvanceCall& call) override { DPLL_CUDA_NAMESPACE::advance(call, context_.stream()); }

 protected:
  void* take(std::size_t bytes, const std::string& what) override {
    void* const data = runtime_->allocate(bytes == 0 ? 1 : bytes);
    if (data == nullptr) {
      fail(ExitCode::device, "not enough GPU memory for {}: {:.1f} MiB asked for, {:.1f} MiB are free", what,
           mebibytes(bytes), mebibytes(runtime_->free_bytes()));
    }
    runtime_->fill_zero(data, bytes);
    return data;
  }
  void release(void* data) noexcept override { runtime_->release(data); }

 private:
  // Number `number` of those that have been started.
  class EnqueuedSum final : public Ranks::Sum {
   public:
    EnqueuedSum(CudaBackend& backend, std::int64_t number) : backend_(backend), number_(number) {}
    void wait() override { backend_.join_sums(number_); }
    void progress() override {}

   private:
    CudaBackend& backend_;
    std::int64_t number_;
  };
  // The main stream comes behind all sums that have been started, at least `number`.
  void join_sums(std::int64_t number) {
    if (number <= joined_) return;
    runtime_->order(runtime_->stream(), runtime_->ranks_stream());
    joined_ = started_;
  }

  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<MathLibrary> math_;
  Tuner tuner_;
  SideStream side_;
  CollectivesMaker make_collectives_;
  std::unique_ptr<Collectives> collectives_;
  Context context_;
  std::int64_t started_ = 0, joined_ = 0;  // sums
};

}  // namespace

std::unique_ptr<Backend> make_backend(std::unique_ptr<Runtime> runtime, std::unique_ptr<MathLibrary> math,
                                      DType compute, TuningOptions tuning, CollectivesMaker collectives) {
  return std::make_unique<CudaBackend>(std::move(runtime), std::move(math), compute, std::move(tuning),
                                       std::move(collectives));
}

Counters::Counters(const Context& context, std::size_t count)
    : runtime_(context.runtime), data_(runtime_.allocate(count * sizeof(unsigned))) {
  if (data_ == nullptr) fail(ExitCode::device, "not enough GPU memory for {} counters", count);
  runtime_.fill_zero(data_, count * sizeof(unsigned));
}

void check_type(const Context& context, const Tensor& tensor, const char* name) {
  DPLL_CHECK(tensor.dtype == context.compute, "{} {} holds {}, not {}", name, tensor.shape.to_string(),
             name_of(tensor.dtype), name_of(context.compute));
}

[[noreturn]] void throw_type_error(DType type) {
  fail(ExitCode::internal, "no kernel computes in {}", name_of(type));
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
