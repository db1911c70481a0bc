// preact_conv on the GPU, with plain convolutions: batch norm, ReLU and dropout write a; the convolutions
// read it; bias, residual and statistics follow in one pass over y. Backward in the opposite order.
#include <optional>

#include "backend/cuda/batch_norm_call.h"
#include "backend/memory_plan.h"
#include "elementwise.h"
#include "view_statistics.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

ConvolutionShape shape_of(const Context& context, const PreactConvSpec& spec, bool projection) {
  return {.images = spec.rows(),
          .height = spec.height,
          .width = spec.width,
          .in_channels = spec.in_channels + spec.zero_channels,
          .out_channels = spec.out_channels,
          .kernel = projection ? 1 : spec.kernel,
          .stride = spec.stride,
          .pad = projection ? 0 : spec.pad,
          .type = context.compute};
}

// A convolution whose input has zero channels behind those that its weights know: tensor cores want 8
// channels where images have 3. Weights and their gradient pass through copies of the wider shape; without
// zero channels they are used where they lie.
class PaddedConvolution {
 public:
  // `train`: with a weight gradient; `input_gradient`: with a data gradient.
  PaddedConvolution(const Context& context, const ConvolutionShape& shape, int zero_channels, bool train,
                    bool input_gradient, MemoryPlan& plan)
      : context_(context),
        channels_(shape.in_channels - zero_channels),
        padded_channels_(shape.in_channels),
        rows_(std::int64_t{shape.out_channels} * shape.kernel * shape.kernel) {
    const auto way = [&](ConvolutionPass pass) {
      std::shared_ptr<const ConvolutionWay> chosen = context.tuner.way(shape, pass);
      scratch_bytes_ = std::max(scratch_bytes_, chosen->workspace_bytes());
      return chosen;
    };
    forward_ = way(ConvolutionPass::forward);
    if (input_gradient) data_gradient_ = way(ConvolutionPass::data_gradient);
    if (train) weight_gradient_ = way(ConvolutionPass::weight_gradient);
    if (padded()) {
      padded_ = plan.add_bytes(static_cast<std::size_t>(rows_ * padded_channels_) * size_of(shape.type));
    }
  }

  std::size_t scratch_bytes() const { return scratch_bytes_; }

  void forward(void* y, const void* x, const Tensor& weight, void* workspace, void* scratch) {
    forward_->run(forward_tensors(y, x, padded(weight, workspace)), scratch);
  }
  void data_gradient(void* d_x, const void* d_y, const Tensor& weight, void* workspace, void* scratch) {
    data_gradient_->run(data_gradient_tensors(d_x, d_y, padded(weight, workspace)), scratch);
  }
  void weight_gradient(const Tensor& d_weight, const void* d_y, const void* x, void* workspace,
                       void* scratch) {
    check_type(context_, d_weight, "d_weight");
    if (!padded()) {
      weight_gradient_->run(weight_gradient_tensors(d_weight.data, d_y, x), scratch);
      return;
    }
    weight_gradient_->run(weight_gradient_tensors(padded_.in(workspace), d_y, x), scratch);
    copy_channels(d_weight.data, channels_, padded_.in(workspace), padded_channels_, rows_, context_.compute,
                  context_.stream());
  }

 private:
  bool padded() const { return padded_channels_ > channels_; }
  const void* padded(const Tensor& weight, void* workspace) const {
    check_type(context_, weight, "weight");
    if (!padded()) return weight.data;
    copy_channels(padded_.in(workspace), padded_channels_, weight.data, channels_, rows_, context_.compute,
                  context_.stream());
    return padded_.in(workspace);
  }

  Context context_;
  int channels_, padded_channels_;
  std::int64_t rows_;  // of the weights: out * kernel * kernel
  std::shared_ptr<const ConvolutionWay> forward_, data_gradient_, weight_gradient_;
  std::size_t scratch_bytes_ = 0;
  Piece<std::byte> padded_;
};

class CudaPreactConv final : public PreactConv {
 public:
  CudaPreactConv(const Context& context, const PreactConvSpec& spec)
      : context_(context),
        spec_(spec),
        train_(spec.mode == Mode::train),
        in_rows_{spec.views, std::int64_t{spec.batch} * spec.height * spec.width,
                 spec.in_channels + spec.zero_channels},
        out_rows_{spec.views, std::int64_t{spec.batch} * spec.out_height() * spec.out_width(),
                  spec.out_channels},
        conv_(context, shape_of(context, spec, false), spec.zero_channels, train_, train_ && needs_d_a(),
              plan_) {
    DPLL_CHECK(spec.zero_channels == 0 || !spec.preact, "zero channels before batch norm");
    DPLL_CHECK(spec.preact || spec.dropout == 0, "dropout {} without batch norm", spec.dropout);
    std::size_t scratch = conv_.scratch_bytes();
    if (spec.projection) {
      projection_.emplace(context, shape_of(context, spec, true), spec.zero_channels, train_,
                          train_ && needs_d_a(), plan_);
      scratch = std::max(scratch, projection_->scratch_bytes());
    }
    scratch = std::max(scratch, view_statistics_workspace(out_rows_));
    if (train_) {
      scratch = std::max(scratch, column_sums_workspace(out_rows_.views * out_rows_.rows, spec.out_channels));
      if (spec.preact) scratch = std::max(scratch, batch_norm_backward_workspace(in_rows_));
      if (needs_d_a()) d_a_ = plan_.add_bytes(input_bytes());
      if (spec.projection) d_a_projected_ = plan_.add_bytes(input_bytes());
    } else if (spec.preact) {
      a_ = plan_.add_bytes(input_bytes());
    }
    if (spec.residual) {
      sum_ = plan_.add_bytes(static_cast<std::size_t>(out_rows_.views * out_rows_.rows) *
                             static_cast<std::size_t>(spec.out_channels) * size_of(context.compute));
    }
    scratch_ = plan_.add_bytes(scratch);
  }

  std::size_t saved_bytes() const override { return train_ && spec_.preact ? input_bytes() : 0; }
  std::size_t workspace_bytes() const override { return plan_.bytes(); }

  void forward(const PreactConvForward& call) override {
    check_type(context_, call.x, "x");
    check_type(context_, call.y, "y");
    void* const scratch = scratch_.in(call.workspace);
    const void* const a = activate(call);
    // Where y holds the residual, the convolution must not overwrite it.
    const bool in_place = spec_.residual && call.residual.data == call.y.data;
    void* const product = in_place ? sum_.in(call.workspace) : call.y.data;
    conv_.forward(product, a, call.weight, call.workspace, scratch);
    if (projection_) {
      projection_->forward(call.projected.data, a, call.projection_weight, call.workspace, scratch);
    }
    if (!spec_.residual && !spec_.bias && !spec_.stats) return;
    view_statistics({.type = context_.compute,
                     .shape = out_rows_,
                     .y = call.y.data,
                     .bias = spec_.bias ? floats(call.bias) : nullptr,
                     .residual = in_place         ? product
                                 : spec_.residual ? call.residual.data
                                                  : nullptr,
                     .stats = spec_.stats ? floats(call.y_stats) : nullptr,
                     .workspace = scratch},
                    context_.stream());
  }

  void backward(const PreactConvBackward& call) override {
    DPLL_CHECK(train_, "preact_conv has no backward in evaluation");
    void* const workspace = call.workspace;
    void* const scratch = scratch_.in(workspace);
    const void* const a = spec_.preact ? call.saved : call.x.data;
    conv_.weight_gradient(call.d_weight, call.d_y.data, a, workspace, scratch);
    if (projection_) {
      projection_->weight_gradient(call.d_projection_weight, call.d_projected.data, a, workspace, scratch);
    }
    if (spec_.bias) {
      column_sums(floats(call.d_bias), call.d_y.data, context_.compute, out_rows_.views * out_rows_.rows,
                  spec_.out_channels, scratch, context_.stream());
    }
    if (!spec_.preact && !spec_.input_gradient) return;
    const bool accumulate = call.accumulate == Accumulate::yes;
    const bool direct = !spec_.preact && !accumulate && !spec_.projection;
    void* const d_a = direct ? call.d_x.data : d_a_.in(workspace);
    conv_.data_gradient(d_a, call.d_y.data, call.weight, workspace, scratch);
    if (direct) return;
    void* d_a_projected = nullptr;
    if (projection_) {
      d_a_projected = d_a_projected_.in(workspace);
      projection_->data_gradient(d_a_projected, call.d_projected.data, call.projection_weight, workspace,
                                 scratch);
    }
    if (!spec_.preact) {
      add_gradients(call.d_x.data, d_a, d_a_projected, accumulate, context_.compute, call.d_x.elements(),
                    context_.stream());
      return;
    }
    batch_norm_backward({.type = context_.compute,
                         .shape = in_rows_,
                         .image = {spec_.height, spec_.width},
                         .d_x = spec_.input_gradient ? call.d_x.data : nullptr,
                         .accumulate = accumulate,
                         .d_gamma = floats(call.bn.d_gamma),
                         .d_beta = floats(call.bn.d_beta),
                         .d_y = d_a,
                         .d_y_second = d_a_projected,
                         .x = call.x.data,
                         .bn = parameters_of(call.bn, call.x_stats),
                         .dropped = spec_.dropout > 0 ? call.saved : nullptr,
                         .dropout = spec_.dropout,
                         .workspace = scratch},
                        context_.stream());
  }

 private:
  std::size_t input_bytes() const {
    return static_cast<std::size_t>(in_rows_.views * in_rows_.rows) *
           static_cast<std::size_t>(in_rows_.channels) * size_of(context_.compute);
  }
  bool needs_d_a() const { return spec_.preact || spec_.input_gradient; }

  const void* activate(const PreactConvForward& call) const {
    if (!spec_.preact) return call.x.data;
    void* const a = train_ ? call.saved : a_.in(call.workspace);
    const bool drops = train_ && spec_.dropout > 0;
    batch_norm_forward({.type = context_.compute,
                        .shape = in_rows_,
                        .image = {spec_.height, spec_.width},
                        .y = a,
                        .x = call.x.data,
                        .bn = parameters_of(call.bn, train_ ? call.x_stats : Tensor{}),
                        .dropout = {.p = drops ? spec_.dropout : 0,
                                    .site = spec_.dropout_site,
                                    .step = call.rows.step,
                                    .order = order_of(call.rows)}},
                       context_.stream());
    return a;
  }

  Context context_;
  PreactConvSpec spec_;
  bool train_;
  ViewRows in_rows_, out_rows_;  // of x and of y
  MemoryPlan plan_;              // of the workspace; before the convolutions, which add to it
  PaddedConvolution conv_;
  std::optional<PaddedConvolution> projection_;
  Piece<std::byte> a_;                    // in evaluation
  Piece<std::byte> d_a_, d_a_projected_;  // shape of x
  Piece<std::byte> sum_;                  // shape of y
  Piece<std::byte> scratch_;
};

}  // namespace

std::unique_ptr<PreactConv> make_preact_conv(const Context& context, const PreactConvSpec& spec) {
  return std::make_unique<CudaPreactConv>(context, spec);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
