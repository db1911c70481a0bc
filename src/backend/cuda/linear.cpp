// linear on the GPU: products by the vendor's library, bias and statistics by ours.
#include <algorithm>

#include "backend/cuda/shared_batch.h"
#include "backend/memory_plan.h"
#include "elementwise.h"
#include "view_statistics.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

class CudaLinear final : public Linear {
 public:
  CudaLinear(const Context& context, const LinearSpec& spec)
      : context_(context),
        spec_(spec),
        rows_{spec.views, spec.batch, spec.out_features},
        shared_(context, spec.share),
        forward_(context.tuner.product({.m = spec.rows(),
                                        .n = spec.out_features,
                                        .k = spec.in_features,
                                        .transposed_b = true,
                                        .type = context.compute,
                                        .out = context.compute})),
        counters_(context, channel_counters(rows_)),
        side_counters_(context, channel_counters(rows_)) {
    std::size_t scratch = std::max(forward_->workspace_bytes(), view_statistics_workspace(rows_));
    if (spec.mode == Mode::train) {
      d_weight_ = context.tuner.product({.m = spec.out_features,
                                         .n = spec.in_features,
                                         .k = spec.rows(),
                                         .transposed_a = true,
                                         .type = context.compute,
                                         .out = context.compute});
      scratch = std::max(
          {scratch, d_weight_->workspace_bytes(), column_sums_workspace(spec.rows(), spec.out_features)});
      if (spec.input_gradient) {
        d_x_ = context.tuner.product({.m = spec.rows(),
                                      .n = spec.in_features,
                                      .k = spec.out_features,
                                      .type = context.compute,
                                      .out = context.compute});
        scratch = std::max(scratch, d_x_->workspace_bytes());
      }
    }
    scratch_ = plan_.add_bytes(scratch);
    if (spec.stats) {
      gathered_ = plan_.add_bytes(shared_.workspace_bytes(std::int64_t{2} * spec.views * spec.out_features));
    }
  }

  std::size_t workspace_bytes() const override { return plan_.bytes(); }
  std::size_t side_workspace_bytes() const override {
    if (d_weight_ == nullptr) return 0;
    return std::max({std::size_t{256}, d_weight_->workspace_bytes(),
                     column_sums_workspace(spec_.rows(), spec_.out_features)});
  }

  void forward(const LinearForward& call) override {
    check_type(context_, call.x, "x");
    check_type(context_, call.y, "y");
    check_type(context_, call.weight, "weight");
    void* const scratch = scratch_.in(call.workspace);
    forward_->run(call.y.data, call.x.data, call.weight.data, scratch, context_.stream());
    view_statistics({.type = context_.compute,
                     .shape = rows_,
                     .y = call.y.data,
                     .bias = floats(call.bias),
                     .stats = spec_.stats ? floats(call.y_stats) : nullptr,
                     .workspace = scratch,
                     .counters = counters_.data()},
                    context_.stream());
    if (spec_.stats) {
      shared_.merge(floats(call.y_stats), spec_.views, spec_.out_features, 1, gathered_.in(call.workspace));
    }
  }

  void backward(const LinearBackward& call) override {
    DPLL_CHECK(spec_.mode == Mode::train, "linear has no backward in evaluation");
    void* const scratch = scratch_.in(call.workspace);
    check_type(context_, call.d_weight, "d_weight");
    const bool beside = call.side.workspace != nullptr;
    const Stream side = beside ? context_.side.begin() : context_.stream();
    void* const side_scratch = beside ? call.side.workspace : scratch;
    d_weight_->run(call.d_weight.data, call.d_y.data, call.x.data, side_scratch, side);
    if (call.d_bias.defined()) {
      column_sums(floats(call.d_bias), call.d_y.data, context_.compute, spec_.rows(), spec_.out_features,
                  side_scratch, (beside ? side_counters_ : counters_).data(), side);
    }
    if (!d_x_) return;
    context_.side.wait(call.side.before_gradient);
    d_x_->run(call.d_x.data, call.d_y.data, call.weight.data, scratch, context_.stream());
  }

 private:
  Context context_;
  LinearSpec spec_;
  ViewRows rows_;  // of y
  SharedBatch shared_;
  std::shared_ptr<const Product> forward_, d_weight_, d_x_;
  Counters counters_, side_counters_;  // of the main and of the side stream
  MemoryPlan plan_;
  Piece<std::byte> scratch_, gathered_;
};

}  // namespace

std::unique_ptr<Linear> make_linear(const Context& context, const LinearSpec& spec) {
  return std::make_unique<CudaLinear>(context, spec);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
