// bn_relu_pool on the GPU. Nothing is saved: backward computes the pre-activations again from x, which it
// must read anyway. Without a shortcut one kernel each way, after the backward's reductions; with one, see
// kernels/block_join.h; without batch norm, kernels/plain_activation.h.
#include <algorithm>

#include "backend/cuda/batch_norm_call.h"
#include "backend/cuda/shared_batch.h"
#include "backend/memory_plan.h"
#include "block_join.h"
#include "plain_activation.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

ViewRows rows_of_x(const BnReluPoolSpec& spec) {
  return {spec.views, std::int64_t{spec.batch} * spec.height * spec.width, spec.channels};
}

class CudaBnReluPool final : public BnReluPool {
 public:
  CudaBnReluPool(const Context& context, const BnReluPoolSpec& spec)
      : context_(context),
        spec_(spec),
        rows_(rows_of_x(spec)),
        shared_(context, spec.share),
        counters_(context, channel_counters(rows_)) {
    if (spec.mode != Mode::train) return;
    scratch_ = plan_.add_bytes(batch_norm_backward_workspace(rows_));
    gathered_ = plan_.add_bytes(shared_.workspace_bytes(std::int64_t{2} * rows_.views * rows_.channels));
  }

  std::size_t saved_bytes() const override { return 0; }
  std::size_t workspace_bytes() const override { return plan_.bytes(); }

  void forward(const BnReluPoolForward& call) override {
    check_type(context_, call.x, "x");
    check_type(context_, call.y, "y");
    batch_norm_forward(
        {.type = context_.compute,
         .shape = rows_,
         .image = {spec_.height, spec_.width},
         .pool = spec_.pool,
         .y = call.y.data,
         .x = call.x.data,
         .bn = parameters_of(call.bn, spec_.mode == Mode::train ? call.x_stats : Tensor{}, rows_of_ranks()),
         .dropout = {}},
        context_.stream());
  }

  void backward(const BnReluPoolBackward& call) override {
    DPLL_CHECK(spec_.mode == Mode::train, "bn_relu_pool has no backward in evaluation");
    batch_norm_backward({.type = context_.compute,
                         .shape = rows_,
                         .image = {spec_.height, spec_.width},
                         .pool = spec_.pool,
                         .d_x = call.d_x.data,
                         .d_gamma = floats(call.bn.d_gamma),
                         .d_beta = floats(call.bn.d_beta),
                         .d_y = call.d_y.data,
                         .x = call.x.data,
                         .bn = parameters_of(call.bn, call.x_stats, rows_of_ranks()),
                         .workspace = scratch_.in(call.workspace),
                         .counters = counters_.data(),
                         .share = shared_.sums(gathered_.in(call.workspace))},
                        context_.stream());
  }

 private:
  std::int64_t rows_of_ranks() const { return shared_.rows(std::int64_t{spec_.height} * spec_.width); }

  Context context_;
  BnReluPoolSpec spec_;
  ViewRows rows_;  // of x
  SharedBatch shared_;
  Counters counters_;
  MemoryPlan plan_;
  Piece<std::byte> scratch_, gathered_;
};

class CudaBlockJoin final : public BnReluPool {
 public:
  CudaBlockJoin(const Context& context, const BnReluPoolSpec& spec)
      : context_(context),
        spec_(spec),
        rows_(rows_of_x(spec)),
        shared_(context, spec.share),
        counters_(context, channel_counters(rows_)) {
    if (train()) {
      scratch_ = plan_.add_bytes(block_join_backward_workspace(rows_));
      gathered_ = plan_.add_bytes(shared_.workspace_bytes(std::int64_t{3} * rows_.views * rows_.channels));
    }
    if (!subsampled()) return;
    const std::size_t bytes =
        static_cast<std::size_t>(rows_.views * rows_.rows * rows_.channels) * size_of(context.compute);
    spread_ = plan_.add_bytes(bytes);
    if (train()) d_spread_ = plan_.add_bytes(bytes);
  }

  std::size_t saved_bytes() const override { return 0; }
  std::size_t workspace_bytes() const override { return plan_.bytes(); }

  void forward(const BnReluPoolForward& call) override {
    check_type(context_, call.x, "x");
    check_type(context_, call.y, "y");
    check_type(context_, call.shortcut, "shortcut");
    block_join_forward({.type = context_.compute,
                        .shape = rows_,
                        .y = call.y.data,
                        .x = call.x.data,
                        .s = shortcut(call.shortcut, call.workspace),
                        .bn = parameters_of(call.bn, train() ? call.x_stats : Tensor{}, rows_of_ranks()),
                        .normalised = normalised(),
                        .s_bn = s_parameters(call.shortcut_bn, train() ? call.shortcut_stats : Tensor{})},
                       context_.stream());
  }

  void backward(const BnReluPoolBackward& call) override {
    DPLL_CHECK(train(), "bn_relu_pool has no backward in evaluation");
    void* const d_s = subsampled() ? d_spread_.in(call.workspace) : call.d_shortcut.data;
    block_join_backward({.type = context_.compute,
                         .shape = rows_,
                         .d_x = call.d_x.data,
                         .d_s = d_s,
                         .d_gamma = floats(call.bn.d_gamma),
                         .d_beta = floats(call.bn.d_beta),
                         .d_y = call.d_y.data,
                         .x = call.x.data,
                         .s = shortcut(call.shortcut, call.workspace),
                         .bn = parameters_of(call.bn, call.x_stats, rows_of_ranks()),
                         .normalised = normalised(),
                         .s_bn = s_parameters(call.shortcut_bn, call.shortcut_stats),
                         .s_d_gamma = normalised() ? floats(call.shortcut_bn.d_gamma) : nullptr,
                         .s_d_beta = normalised() ? floats(call.shortcut_bn.d_beta) : nullptr,
                         .workspace = scratch_.in(call.workspace),
                         .counters = counters_.data(),
                         .share = shared_.sums(gathered_.in(call.workspace))},
                        context_.stream());
    if (subsampled()) {
      gather_shortcut(call.d_shortcut.data, d_s, subsampled_shape(), context_.compute, context_.stream());
    }
  }

 private:
  bool train() const { return spec_.mode == Mode::train; }
  bool normalised() const { return spec_.shortcut == Shortcut::normalised; }
  bool subsampled() const { return spec_.shortcut == Shortcut::subsampled; }
  std::int64_t rows_of_ranks() const { return shared_.rows(std::int64_t{spec_.height} * spec_.width); }
  BatchNormParameters s_parameters(const BatchNorm& bn, const Tensor& stats) const {
    return normalised() ? parameters_of(bn, stats, rows_of_ranks()) : BatchNormParameters{};
  }
  SubsampledShape subsampled_shape() const {
    return {.images = spec_.rows(),
            .height = spec_.height,
            .width = spec_.width,
            .channels = spec_.channels,
            .s_height = spec_.shortcut_height,
            .s_width = spec_.shortcut_width,
            .s_channels = spec_.shortcut_channels,
            .pad = spec_.shortcut_pad()};
  }
  // s in the shape of x.
  const void* shortcut(const Tensor& s, void* workspace) const {
    if (!subsampled()) return s.data;
    void* const to = spread_.in(workspace);
    spread_shortcut(to, s.data, subsampled_shape(), context_.compute, context_.stream());
    return to;
  }

  Context context_;
  BnReluPoolSpec spec_;
  ViewRows rows_;
  SharedBatch shared_;
  Counters counters_;
  MemoryPlan plan_;
  Piece<std::byte> scratch_, gathered_, spread_, d_spread_;
};

class CudaPlainActivation final : public BnReluPool {
 public:
  CudaPlainActivation(const Context& context, const BnReluPoolSpec& spec)
      : context_(context),
        relu_(spec.relu),
        shape_{spec.rows(), spec.height * spec.width, spec.channels},
        elements_(shape_.images * shape_.pixels * shape_.channels) {}

  std::size_t saved_bytes() const override { return 0; }
  std::size_t workspace_bytes() const override { return 0; }
  void forward(const BnReluPoolForward& call) override {
    check_type(context_, call.x, "x");
    check_type(context_, call.y, "y");
    if (relu_) {
      relu_forward(call.y.data, call.x.data, elements_, context_.compute, context_.stream());
    } else {
      average_forward(call.y.data, call.x.data, shape_, context_.compute, context_.stream());
    }
  }
  void backward(const BnReluPoolBackward& call) override {
    if (relu_) {
      relu_backward(call.d_x.data, call.d_y.data, call.x.data, elements_, context_.compute,
                    context_.stream());
    } else {
      average_backward(call.d_x.data, call.d_y.data, shape_, context_.compute, context_.stream());
    }
  }

 private:
  Context context_;
  bool relu_;
  PixelsOf shape_;
  std::int64_t elements_;
};

}  // namespace

std::unique_ptr<BnReluPool> make_bn_relu_pool(const Context& context, const BnReluPoolSpec& spec) {
  check_spec(spec);
  if (!spec.batch_norm) return std::make_unique<CudaPlainActivation>(context, spec);
  if (spec.shortcut != Shortcut::none) return std::make_unique<CudaBlockJoin>(context, spec);
  return std::make_unique<CudaBnReluPool>(context, spec);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
