// preact_conv on the GPU. Plain: batch norm, ReLU and dropout write a; the convolutions read it; bias,
// residual and statistics follow in one pass over y. Backward in the opposite order. The other variants let
// the convolutions do part of it, view by view, see preact_conv.h.
#include "backend/cuda/preact_conv.h"

#include <algorithm>

#include "backend/cuda/batch_norm_call.h"
#include "backend/cuda/shared_batch.h"
#include "backend/memory_plan.h"
#include "elementwise.h"
#include "fused_batch_norm.h"
#include "view_statistics.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

ConvolutionShape shape_of(const Context& context, const PreactConvSpec& spec, bool projection) {
  return {.images = spec.rows(),
          .height = spec.height,
          .width = spec.width,
          .in_channels = spec.in_channels,
          .out_channels = spec.out_channels,
          .kernel = projection ? 1 : spec.kernel,
          .stride = spec.stride,
          .pad = projection ? 0 : spec.pad,
          .type = context.compute};
}

// Thrown by the constructor; make_preact_conv() catches it.
struct MissingWay {};

using Forward = PreactVariant::Forward;

class CudaPreactConv final : public PreactConv {
 public:
  CudaPreactConv(const Context& context, const PreactConvSpec& spec, const PreactVariant& variant)
      : context_(context),
        spec_(spec),
        variant_(variant),
        train_(spec.mode == Mode::train),
        in_rows_{spec.views, std::int64_t{spec.batch} * spec.height * spec.width, spec.in_channels},
        out_rows_{spec.views, std::int64_t{spec.batch} * spec.out_height() * spec.out_width(),
                  spec.out_channels},
        shared_(context, spec.share),
        counters_(context, std::max(channel_counters(in_rows_), channel_counters(out_rows_))),
        side_counters_(context, channel_counters(out_rows_)) {
    DPLL_CHECK(spec.preact || spec.dropout == 0, "dropout {} without batch norm", spec.dropout);
    conv_ =
        passes(shape_of(context, spec, false), variant.forward == Forward::plain,
               train_ && needs_d_a() && !variant.reductions, train_ && variant.forward != Forward::activated);
    if (spec.projection)
      projection_ = passes(shape_of(context, spec, true), true, train_ && needs_d_a(), train_);
    scratch_bytes_ = std::max(scratch_bytes_, view_statistics_workspace(out_rows_));
    if (train_) {
      scratch_bytes_ = std::max(scratch_bytes_,
                                column_sums_workspace(out_rows_.views * out_rows_.rows, spec.out_channels));
      if (spec.preact) scratch_bytes_ = std::max(scratch_bytes_, batch_norm_backward_workspace(in_rows_));
      if (needs_d_a()) d_a_ = plan_.add_bytes(bytes_of(in_rows_));
      if (spec.projection) d_a_projected_ = plan_.add_bytes(bytes_of(in_rows_));
    } else if (spec.preact) {
      a_ = plan_.add_bytes(bytes_of(in_rows_));
    }
    if (spec.residual) sum_ = plan_.add_bytes(bytes_of(out_rows_));
    gathered_ =
        plan_.add_bytes(train_ ? shared_.workspace_bytes(std::int64_t{2} * spec.views *
                                                         std::max(in_rows_.channels, out_rows_.channels))
                               : 0);
    plan_side();
    plan_fused();
    scratch_ = plan_.add_bytes(scratch_bytes_);
  }

  std::size_t saved_bytes() const override { return saves_a() ? bytes_of(in_rows_) : 0; }
  std::size_t workspace_bytes() const override { return plan_.bytes(); }
  std::size_t side_workspace_bytes() const override { return side_bytes_; }

  void forward(const PreactConvForward& call) override {
    check_type(context_, call.x, "x");
    check_type(context_, call.y, "y");
    check_type(context_, call.weight, "weight");
    void* const scratch = scratch_.in(call.workspace);
    const void* const a = variant_.forward == Forward::activated ? nullptr : activate(call);
    // Where y holds the residual, the convolution must not overwrite it.
    const bool in_place = spec_.residual && call.residual.data == call.y.data;
    void* const product = in_place ? sum_.in(call.workspace) : call.y.data;
    const bool beside = spec_.projection && call.side.workspace != nullptr;
    if (spec_.projection) {
      check_type(context_, call.projection_weight, "projection_weight");
      projection_.forward->run(forward_tensors(call.projected.data, a, call.projection_weight.data),
                               beside ? call.side.workspace : scratch,
                               beside ? context_.side.begin() : context_.stream());
    }
    if (variant_.forward == Forward::plain) {
      conv_.forward->run(forward_tensors(product, a, call.weight.data), scratch, context_.stream());
    } else {
      measured_forward(product, a, call);
    }
    if (beside) context_.side.wait(context_.side.mark());
    if (variant_.forward != Forward::plain && !spec_.residual && !spec_.bias) {
      if (spec_.stats) {
        statistics_from_sums(floats(call.y_stats), y_sum_.in(call.workspace), y_squares_.in(call.workspace),
                             out_rows_, context_.stream());
        share_statistics(call);
      }
      return;
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
                     .workspace = scratch,
                     .counters = counters_.data()},
                    context_.stream());
    if (spec_.stats) share_statistics(call);
  }

  void backward(const PreactConvBackward& call) override {
    DPLL_CHECK(train_, "preact_conv has no backward in evaluation");
    check_type(context_, call.weight, "weight");
    check_type(context_, call.d_weight, "d_weight");
    void* const workspace = call.workspace;
    void* const scratch = scratch_.in(workspace);
    if (variant_.forward == Forward::activated || variant_.reductions) {
      BatchNormParameters bn = parameters_of(call.bn, call.x_stats, rows_of_ranks());
      bn.running_mean = nullptr;  // forward has updated them
      make_vectors(bn, workspace);
    }
    if (variant_.forward == Forward::activated) activated_weight_gradient(call);
    const bool beside = call.side.workspace != nullptr;
    const Stream side = beside ? context_.side.begin() : context_.stream();
    void* const side_scratch = beside ? call.side.workspace : scratch;
    void* d_a_projected = nullptr;
    if (spec_.projection && needs_d_a()) {
      d_a_projected = d_a_projected_.in(workspace);
      projection_.data_gradient->run(
          data_gradient_tensors(d_a_projected, call.d_projected.data, call.projection_weight.data),
          side_scratch, side);
    }
    const int projected = beside && spec_.projection ? context_.side.mark() : -1;
    parameter_gradients(call, side_scratch, beside, beside ? context_.side.go_on() : side);
    if (!spec_.preact && !spec_.input_gradient) return;
    const bool accumulate = call.accumulate == Accumulate::yes;
    const bool direct = !spec_.preact && !accumulate && !spec_.projection;
    void* const d_a = direct ? call.d_x.data : d_a_.in(workspace);
    if (direct) context_.side.wait(call.side.before_gradient);
    if (variant_.reductions) {
      reduced_data_gradient(d_a, call);
    } else {
      conv_.data_gradient->run(data_gradient_tensors(d_a, call.d_y.data, call.weight.data), scratch,
                               context_.stream());
    }
    if (direct) return;
    context_.side.wait(std::max(projected, call.side.before_gradient));
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
                         .bn = parameters_of(call.bn, call.x_stats, rows_of_ranks()),
                         .dropped = spec_.dropout > 0 ? call.saved : nullptr,
                         .dropout = spec_.dropout,
                         .view_d_gamma = variant_.reductions ? d_gamma_.in(workspace) : nullptr,
                         .view_d_beta = variant_.reductions ? d_beta_.in(workspace) : nullptr,
                         .workspace = scratch,
                         .counters = counters_.data(),
                         .share = shared_.sums(gathered_.in(workspace))},
                        context_.stream());
  }

 private:
  std::int64_t rows_of_ranks() const { return shared_.rows(std::int64_t{spec_.height} * spec_.width); }
  // Those of y become those of all ranks' samples.
  void share_statistics(const PreactConvForward& call) const {
    shared_.merge(floats(call.y_stats), spec_.views, spec_.out_channels,
                  std::int64_t{spec_.out_height()} * spec_.out_width(), gathered_.in(call.workspace));
  }

  // Of the convolutions' weights and the bias, but for what activated_weight_gradient() has computed.
  void parameter_gradients(const PreactConvBackward& call, void* scratch, bool beside, Stream stream) {
    const void* const a = saves_a() ? call.saved : call.x.data;
    if (variant_.forward != Forward::activated) {
      conv_.weight_gradient->run(weight_gradient_tensors(call.d_weight.data, call.d_y.data, a), scratch,
                                 stream);
    }
    if (spec_.projection) {
      check_type(context_, call.d_projection_weight, "d_projection_weight");
      projection_.weight_gradient->run(
          weight_gradient_tensors(call.d_projection_weight.data, call.d_projected.data, a), scratch, stream);
    }
    if (call.d_bias.defined()) {
      column_sums(floats(call.d_bias), call.d_y.data, context_.compute, out_rows_.views * out_rows_.rows,
                  spec_.out_channels, scratch, (beside ? side_counters_ : counters_).data(), stream);
    }
  }

  std::size_t bytes_of(const ViewRows& rows) const {
    return static_cast<std::size_t>(rows.views * rows.rows) * static_cast<std::size_t>(rows.channels) *
           size_of(context_.compute);
  }
  bool needs_d_a() const { return spec_.preact || spec_.input_gradient; }
  bool saves_a() const { return train_ && spec_.preact && variant_.forward != Forward::activated; }

  struct PlainPasses {
    std::shared_ptr<const ConvolutionWay> forward, data_gradient, weight_gradient;  // null: not run
  };
  PlainPasses passes(const ConvolutionShape& shape, bool forward, bool data_gradient, bool weight_gradient) {
    const auto way = [&](bool wanted, ConvolutionPass pass) -> std::shared_ptr<const ConvolutionWay> {
      if (!wanted) return nullptr;
      std::shared_ptr<const ConvolutionWay> chosen = context_.tuner.way(shape, pass);
      scratch_bytes_ = std::max(scratch_bytes_, chosen->workspace_bytes());
      return chosen;
    };
    return {way(forward, ConvolutionPass::forward), way(data_gradient, ConvolutionPass::data_gradient),
            way(weight_gradient, ConvolutionPass::weight_gradient)};
  }

  void plan_side() {
    if (!train_ && !spec_.projection) return;
    side_bytes_ = 256;  // null would mean that there is no side stream
    for (const PlainPasses& passes : {PlainPasses{nullptr, nullptr, conv_.weight_gradient}, projection_}) {
      for (const auto& way : {passes.forward, passes.data_gradient, passes.weight_gradient}) {
        if (way != nullptr) side_bytes_ = std::max(side_bytes_, way->workspace_bytes());
      }
    }
    if (train_) {
      side_bytes_ =
          std::max(side_bytes_, column_sums_workspace(out_rows_.views * out_rows_.rows, spec_.out_channels));
    }
  }

  // Fetches the ways of the variant's fused passes and plans their memory.
  void plan_fused() {
    const bool activated = variant_.forward == Forward::activated;
    const std::int64_t in = std::int64_t{spec_.views} * in_rows_.channels,
                       out = std::int64_t{spec_.views} * out_rows_.channels;
    if (variant_.forward != Forward::plain) {
      measured_ = way(activated ? ConvolutionPass::activated_forward_statistics
                                : ConvolutionPass::forward_statistics);
      y_sum_ = plan_.add<float>(out);
      y_squares_ = plan_.add<float>(out);
    }
    if (activated || variant_.reductions) {
      scale_ = plan_.add_bytes(static_cast<std::size_t>(in) * size_of(context_.compute));
      bias_ = plan_.add_bytes(static_cast<std::size_t>(in) * size_of(context_.compute));
      inverse_deviation_ = plan_.add<float>(in);
    }
    if (activated) {
      weight_gradient_ = way(ConvolutionPass::activated_weight_gradient);
      weight_parts_ = plan_.add_bytes(part_elements() * static_cast<std::size_t>(spec_.views) *
                                      size_of(context_.compute));
    }
    if (variant_.reductions) {
      reductions_ = way(ConvolutionPass::data_gradient_reductions);
      d_gamma_ = plan_.add<float>(in);
      d_beta_ = plan_.add<float>(in);
      unused_ = plan_.add<float>(3 * std::int64_t{in_rows_.channels});
    }
  }
  std::shared_ptr<const ConvolutionWay> way(ConvolutionPass pass) {
    ConvolutionShape shape = shape_of(context_, spec_, false);
    shape.images = spec_.batch;
    std::shared_ptr<const ConvolutionWay> found = context_.tuner.way(shape, pass);
    if (found == nullptr) throw MissingWay{};
    scratch_bytes_ = std::max(scratch_bytes_, found->workspace_bytes());
    return found;
  }
  // Of one view's gradient of the weights; the next one's is 16-byte aligned.
  std::size_t part_elements() const {
    return (static_cast<std::size_t>(shape_of(context_, spec_, false).weight_elements()) + 7) / 8 * 8;
  }

  const void* activate(const PreactConvForward& call) const {
    if (!spec_.preact) return call.x.data;
    void* const a = train_ ? call.saved : a_.in(call.workspace);
    const bool drops = train_ && spec_.dropout > 0;
    batch_norm_forward({.type = context_.compute,
                        .shape = in_rows_,
                        .image = {spec_.height, spec_.width},
                        .y = a,
                        .x = call.x.data,
                        .bn = parameters_of(call.bn, train_ ? call.x_stats : Tensor{}, rows_of_ranks()),
                        .dropout = {.p = drops ? spec_.dropout : 0,
                                    .site = spec_.dropout_site,
                                    .step = call.rows.step,
                                    .order = order_of(call.rows),
                                    .ahead = call.rows.ahead}},
                       context_.stream());
    return a;
  }

  void make_vectors(const BatchNormParameters& bn, void* workspace) const {
    norm_vectors({.type = context_.compute,
                  .shape = in_rows_,
                  .bn = bn,
                  .scale = scale_.in(workspace),
                  .bias = bias_.in(workspace),
                  .inverse_deviation = inverse_deviation_.in(workspace)},
                 context_.stream());
  }

  // The part of view `view` of a tensor of `elements` of the compute type in each.
  void* view_of(const void* data, int view, std::int64_t elements) const {
    return static_cast<std::byte*>(const_cast<void*>(data)) +
           static_cast<std::size_t>(view * elements) * size_of(context_.compute);
  }
  std::int64_t x_elements() const { return in_rows_.rows * in_rows_.channels; }  // of a view
  std::int64_t y_elements() const { return out_rows_.rows * out_rows_.channels; }

  // y, and its sums. `a` null: from x.
  void measured_forward(void* y, const void* a, const PreactConvForward& call) const {
    const bool activated = a == nullptr;
    if (activated) make_vectors(parameters_of(call.bn, call.x_stats, rows_of_ranks()), call.workspace);
    for (int view = 0; view < spec_.views; ++view) {
      ConvolutionTensors t =
          forward_tensors(view_of(y, view, y_elements()),
                          view_of(activated ? call.x.data : a, view, x_elements()), call.weight.data);
      if (activated) {
        t.scale = view_of(scale_.in(call.workspace), view, in_rows_.channels);
        t.bias = view_of(bias_.in(call.workspace), view, in_rows_.channels);
      }
      t.sum = y_sum_.in(call.workspace) + std::int64_t{view} * spec_.out_channels;
      t.squares = y_squares_.in(call.workspace) + std::int64_t{view} * spec_.out_channels;
      measured_->run(t, scratch_.in(call.workspace), context_.stream());
    }
  }

  void activated_weight_gradient(const PreactConvBackward& call) const {
    void* const parts = weight_parts_.in(call.workspace);
    const auto stride = static_cast<std::int64_t>(part_elements());
    for (int view = 0; view < spec_.views; ++view) {
      ConvolutionTensors t =
          weight_gradient_tensors(view_of(parts, view, stride), view_of(call.d_y.data, view, y_elements()),
                                  view_of(call.x.data, view, x_elements()));
      t.scale = view_of(scale_.in(call.workspace), view, in_rows_.channels);
      t.bias = view_of(bias_.in(call.workspace), view, in_rows_.channels);
      weight_gradient_->run(t, scratch_.in(call.workspace), context_.stream());
    }
    sum_parts(call.d_weight.data, parts, context_.compute, call.d_weight.elements(), stride, spec_.views,
              context_.stream());
  }

  // d_z, and its sums.
  void reduced_data_gradient(void* d_z, const PreactConvBackward& call) const {
    for (int view = 0; view < spec_.views; ++view) {
      const std::int64_t at = std::int64_t{view} * in_rows_.channels;
      const ConvolutionTensors t = {
          .x = view_of(call.x.data, view, x_elements()),
          .weight = call.weight.data,
          .y = view_of(call.d_y.data, view, y_elements()),
          .mean = floats(call.x_stats) + 2 * at,
          .inverse_deviation = inverse_deviation_.in(call.workspace) + at,
          .gamma = floats(call.bn.gamma),
          .beta = floats(call.bn.beta),
          .d_z = view_of(d_z, view, x_elements()),
          .d_gamma = d_gamma_.in(call.workspace) + at,
          .d_beta = d_beta_.in(call.workspace) + at,
          .unused = unused_.in(call.workspace),
      };
      reductions_->run(t, scratch_.in(call.workspace), context_.stream());
    }
  }

  Context context_;
  PreactConvSpec spec_;
  PreactVariant variant_;
  bool train_;
  ViewRows in_rows_, out_rows_;  // of x and of y
  SharedBatch shared_;
  PlainPasses conv_, projection_;
  Counters counters_, side_counters_;     // of the main and of the side stream
  MemoryPlan plan_;                       // of the workspace
  Piece<std::byte> a_;                    // in evaluation
  Piece<std::byte> d_a_, d_a_projected_;  // shape of x
  Piece<std::byte> sum_;                  // shape of y
  Piece<std::byte> gathered_;             // of all ranks
  std::size_t scratch_bytes_ = 0, side_bytes_ = 0;
  Piece<std::byte> scratch_;
  // Of the fused passes: ways for one view's images, and what they read and write of all views.
  std::shared_ptr<const ConvolutionWay> measured_, weight_gradient_, reductions_;
  Piece<float> y_sum_, y_squares_;          // [V, out]
  Piece<std::byte> scale_, bias_;           // [V, in]
  Piece<float> inverse_deviation_;          // [V, in]
  Piece<std::byte> weight_parts_;           // [V, part_elements()]
  Piece<float> d_gamma_, d_beta_, unused_;  // [V, in]; unused: [3, in]
};

}  // namespace

std::string name_of(const PreactVariant& variant) {
  const char* const forward = variant.forward == Forward::plain        ? "plain"
                              : variant.forward == Forward::statistics ? "statistics"
                                                                       : "activated";
  return fmt::format("{}{}", forward, variant.reductions ? " with reductions" : "");
}

std::vector<PreactVariant> variants_of(const PreactConvSpec& spec) {
  std::vector<PreactVariant> variants = {{}};
  if (spec.mode != Mode::train) return variants;
  // Sums of y are of use where nothing is added to it.
  const bool measures = spec.stats && !spec.residual && !spec.bias;
  // Dropout and a second convolution read a; their gradients meet before ReLU's mask.
  const bool fuses = spec.preact && spec.dropout == 0 && !spec.projection;
  if (fuses) variants.push_back({Forward::plain, true});
  if (measures) variants.push_back({Forward::statistics, false});
  if (measures && fuses) variants.push_back({Forward::statistics, true});
  if (fuses) variants.push_back({Forward::activated, false});
  if (fuses) variants.push_back({Forward::activated, true});
  return variants;
}

std::unique_ptr<PreactConv> make_preact_conv(const Context& context, const PreactConvSpec& spec,
                                             const PreactVariant& variant) {
  try {
    return std::make_unique<CudaPreactConv>(context, spec, variant);
  } catch (const MissingWay&) {
    return nullptr;
  }
}

std::unique_ptr<PreactConv> make_preact_conv(const Context& context, const PreactConvSpec& spec) {
  const std::vector<PreactVariant> variants = variants_of(spec);
  std::size_t chosen = 0;
  if (variants.size() > 1) {
    std::vector<std::string> names;
    names.reserve(variants.size());
    for (const PreactVariant& variant : variants) names.push_back(name_of(variant));
    chosen = context.tuner.choose(key_of(context, spec), names,
                                  [&] { return preact_conv_contest(context, spec, variants); });
  }
  std::unique_ptr<PreactConv> made = make_preact_conv(context, spec, variants[chosen]);
  return made != nullptr ? std::move(made) : make_preact_conv(context, spec, PreactVariant{});
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
