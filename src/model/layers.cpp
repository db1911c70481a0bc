#include "model/layers.h"

#include <utility>

#include "model/program_plan.h"

namespace dpll {
namespace {

using Adds = ProgramPlan::Adds;
using Keep = ProgramPlan::Keep;

// Undefined where it is zero: the mean that the batch norm behind y takes away has the bias in it.
Tensor bias_gradient(ParameterId bias, Activation y, const ProgramPlan& plan) {
  return defined(bias) && !plan.layers[y].only_normalised() ? plan.state.gradient(bias) : Tensor{};
}

// Those of `ids` that there are.
std::vector<ParameterId> known(const std::vector<ParameterId>& ids) {
  std::vector<ParameterId> found;
  for (const ParameterId id : ids) {
    if (id.index >= 0) found.push_back(id);
  }
  return found;
}

// ---- convolution

PreactConvSpec spec_of(const Convolution& layer, Activation y, const ProgramPlan& plan) {
  const ActivationSpec& x = plan.layers[layer.x];
  const std::vector<std::int64_t>& weight = plan.state.spec(layer.weight.index).dims;
  const bool images = layer.x.index == LayerList::kImages;
  const int kernel = static_cast<int>(weight[2]);
  return {.mode = plan.spec.mode,
          .views = plan.spec.views,
          .batch = plan.spec.batch,
          .height = x.height,
          .width = x.width,
          .in_channels = x.stored,
          .out_channels = plan.layers[y].stored,
          .kernel = kernel,
          .stride = layer.stride,
          .pad = kernel / 2,
          .preact = defined(layer.bn),
          .dropout = plan.train() ? layer.dropout : 0,
          .dropout_site = static_cast<std::uint32_t>(layer.dropout_site),
          .bias = defined(layer.bias),
          .projection = defined(layer.projection),
          .residual = layer.residual.defined(),
          .input_gradient = !images,
          .share = plan.spec.share};
}

class ConvolutionRun final : public LayerRun {
 public:
  ConvolutionRun(const Convolution& layer, const Convolved& outputs, ProgramPlan& plan)
      : layer_(layer),
        state_(plan.state),
        op_(make(layer, outputs, plan)),
        bias_gradient_(bias_gradient(layer.bias, outputs.y, plan)),
        x_(plan.read(layer.x, preact() ? Keep::for_backward : Keep::for_side)),
        x_stats_(preact() ? plan.read_statistics(layer.x) : kNone),
        projected_(projects() ? plan.write(outputs.projected) : kNone),
        residual_(layer.residual.defined() ? plan.read(layer.residual, Keep::no) : kNone),
        y_(plan.write(outputs.y)),
        y_stats_(plan.write_statistics(outputs.y)),
        saved_(plan.save(op_->saved_bytes(), Keep::for_side)),
        workspace_(plan.need_workspace(op_->workspace_bytes())),
        side_workspace_(plan.need_side_workspace(op_->side_workspace_bytes())),
        d_y_(plan.read_gradient(outputs.y, Keep::for_side)),
        d_projected_(projects() ? plan.read_gradient(outputs.projected, Keep::for_side) : kNone),
        d_x_(plan.give_gradient(layer.x, Adds::possibly)) {
    // The residual's gradient is y's: it stays where it is.
    if (layer.residual.defined()) plan.give_gradient_over(layer.residual, outputs.y);
  }

  void forward(const BatchRows& rows) override {
    op_->forward({.y = y_,
                  .y_stats = y_stats_,
                  .projected = projected_,
                  .x = x_,
                  .x_stats = x_stats_,
                  .bn = preact() ? state_.batch_norm(layer_.bn) : BatchNorm{},
                  .weight = state_.weight(layer_.weight),
                  .bias = defined(layer_.bias) ? state_.value(layer_.bias) : Tensor{},
                  .projection_weight = projects() ? state_.weight(layer_.projection) : Tensor{},
                  .residual = residual_,
                  .rows = rows,
                  .saved = saved_,
                  .workspace = workspace_,
                  .side = {.workspace = side_workspace_}});
  }

  bool waits() const override { return true; }
  std::vector<ParameterId> parameters() const override {
    return known({layer_.weight, layer_.bias, layer_.bn.gamma, layer_.bn.beta, layer_.projection});
  }
  void backward(const BatchRows& rows, int before_gradient) override {
    op_->backward({.d_x = *d_x_,
                   .accumulate = d_x_.accumulate,
                   .d_weight = state_.gradient(layer_.weight),
                   .d_bias = bias_gradient_,
                   .d_projection_weight = projects() ? state_.gradient(layer_.projection) : Tensor{},
                   .bn = preact() ? state_.batch_norm(layer_.bn) : BatchNorm{},
                   .d_y = d_y_,
                   .d_projected = d_projected_,
                   .x = x_,
                   .x_stats = x_stats_,
                   .weight = state_.weight(layer_.weight),
                   .projection_weight = projects() ? state_.weight(layer_.projection) : Tensor{},
                   .rows = rows,
                   .saved = saved_,
                   .workspace = workspace_,
                   .side = {.workspace = side_workspace_, .before_gradient = before_gradient}});
  }

 private:
  static std::unique_ptr<PreactConv> make(const Convolution& layer, const Convolved& outputs,
                                          const ProgramPlan& plan) {
    PreactConvSpec spec = spec_of(layer, outputs.y, plan);
    spec.stats = plan.wants_statistics(outputs.y);
    return plan.backend.make_preact_conv(spec);
  }
  bool preact() const { return defined(layer_.bn); }
  bool projects() const { return defined(layer_.projection); }

  static inline const Tensor kNone = {};
  Convolution layer_;
  ModelState& state_;
  std::unique_ptr<PreactConv> op_;
  Tensor bias_gradient_;
  const Tensor &x_, &x_stats_, &projected_, &residual_, &y_, &y_stats_;
  void *const &saved_, *const &workspace_, *const &side_workspace_;
  const Tensor &d_y_, &d_projected_;
  const Gradient& d_x_;
};

// ---- batch norm, shortcut, ReLU and pooling

BnReluPoolSpec spec_of(const Activate& layer, const LayerList& layers) {
  const ActivationSpec& x = layers[layer.x];
  BnReluPoolSpec spec{.height = x.height,
                      .width = x.width,
                      .channels = x.stored,
                      .pool = layer.pool,
                      .batch_norm = defined(layer.bn),
                      .relu = layer.relu};
  if (!layer.shortcut.defined()) return spec;
  const ActivationSpec& s = layers[layer.shortcut];
  if (defined(layer.shortcut_bn)) {
    spec.shortcut = Shortcut::normalised;
  } else if (s.height == x.height && s.width == x.width && s.stored == x.stored) {
    spec.shortcut = Shortcut::identity;
  } else {
    spec.shortcut = Shortcut::subsampled;
    spec.shortcut_height = s.height;
    spec.shortcut_width = s.width;
    spec.shortcut_channels = s.stored;
  }
  return spec;
}

class ActivateRun final : public LayerRun {
 public:
  ActivateRun(const Activate& layer, Activation y, ProgramPlan& plan)
      : layer_(layer),
        spec_(full_spec(layer, plan)),
        state_(plan.state),
        op_(plan.backend.make_bn_relu_pool(spec_)),
        // The average alone needs no x in its backward pass.
        x_(plan.read(layer.x, spec_.batch_norm || spec_.relu ? Keep::for_backward : Keep::no)),
        x_stats_(spec_.batch_norm ? plan.read_statistics(layer.x) : kNone),
        shortcut_(joins() ? plan.read(layer.shortcut, Keep::for_backward) : kNone),
        shortcut_stats_(normalises() ? plan.read_statistics(layer.shortcut) : kNone),
        y_(plan.write(y)),
        saved_(plan.save(op_->saved_bytes(), Keep::for_backward)),
        workspace_(plan.need_workspace(op_->workspace_bytes())),
        d_y_(plan.read_gradient(y)),
        d_x_(plan.give_gradient(layer.x, Adds::never)) {
    DPLL_CHECK(!plan.layers[y].normalised, "{} writes no statistics for a batch norm", layer.layer);
    if (!joins()) return;
    // A shortcut of y's shape has the gradient that ReLU lets through: y's own is not needed any more.
    d_shortcut_ = spec_.shortcut == Shortcut::subsampled ? &plan.give_gradient(layer.shortcut, Adds::never)
                                                         : &plan.give_gradient_over(layer.shortcut, y);
  }

  void forward(const BatchRows&) override {
    op_->forward({.y = y_,
                  .x = x_,
                  .x_stats = x_stats_,
                  .bn = bn(),
                  .shortcut = shortcut_,
                  .shortcut_stats = shortcut_stats_,
                  .shortcut_bn = shortcut_bn(),
                  .saved = saved_,
                  .workspace = workspace_});
  }

  void backward(const BatchRows&, int) override {
    op_->backward({.d_x = *d_x_,
                   .bn = bn(),
                   .d_shortcut = joins() ? **d_shortcut_ : Tensor{},
                   .shortcut_bn = shortcut_bn(),
                   .d_y = d_y_,
                   .x = x_,
                   .x_stats = x_stats_,
                   .shortcut = shortcut_,
                   .shortcut_stats = shortcut_stats_,
                   .saved = saved_,
                   .workspace = workspace_});
  }

  std::vector<ParameterId> parameters() const override {
    return known({layer_.bn.gamma, layer_.bn.beta, layer_.shortcut_bn.gamma, layer_.shortcut_bn.beta});
  }

 private:
  static BnReluPoolSpec full_spec(const Activate& layer, const ProgramPlan& plan) {
    BnReluPoolSpec spec = spec_of(layer, plan.layers);
    spec.mode = plan.spec.mode;
    spec.views = plan.spec.views;
    spec.batch = plan.spec.batch;
    spec.share = plan.spec.share;
    return spec;
  }
  bool joins() const { return spec_.shortcut != Shortcut::none; }
  bool normalises() const { return spec_.shortcut == Shortcut::normalised; }
  BatchNorm bn() const { return spec_.batch_norm ? state_.batch_norm(layer_.bn) : BatchNorm{}; }
  BatchNorm shortcut_bn() const { return normalises() ? state_.batch_norm(layer_.shortcut_bn) : BatchNorm{}; }

  static inline const Tensor kNone = {};
  Activate layer_;
  BnReluPoolSpec spec_;
  ModelState& state_;
  std::unique_ptr<BnReluPool> op_;
  const Tensor &x_, &x_stats_, &shortcut_, &shortcut_stats_, &y_;
  void *const &saved_, *const &workspace_;
  const Tensor& d_y_;
  const Gradient& d_x_;
  const Gradient* d_shortcut_ = nullptr;
};

// ---- linear

class LinearRun final : public LayerRun {
 public:
  LinearRun(const LinearLayer& layer, Activation y, ProgramPlan& plan)
      : layer_(layer),
        state_(plan.state),
        op_(make(layer, y, plan)),
        bias_gradient_(bias_gradient(layer.bias, y, plan)),
        x_(plan.read(layer.x, Keep::for_side)),
        y_(plan.write(y)),
        y_stats_(plan.write_statistics(y)),
        workspace_(plan.need_workspace(op_->workspace_bytes())),
        side_workspace_(plan.need_side_workspace(op_->side_workspace_bytes())),
        d_y_(plan.read_gradient(y, Keep::for_side)),
        d_x_(plan.give_gradient(layer.x, Adds::never)) {}

  void forward(const BatchRows&) override {
    op_->forward({.y = y_,
                  .y_stats = y_stats_,
                  .x = x_,
                  .weight = state_.weight(layer_.weight),
                  .bias = state_.value(layer_.bias),
                  .workspace = workspace_});
  }

  bool waits() const override { return true; }
  std::vector<ParameterId> parameters() const override { return known({layer_.weight, layer_.bias}); }
  void backward(const BatchRows&, int before_gradient) override {
    op_->backward({.d_x = *d_x_,
                   .d_weight = state_.gradient(layer_.weight),
                   .d_bias = bias_gradient_,
                   .d_y = d_y_,
                   .x = x_,
                   .weight = state_.weight(layer_.weight),
                   .workspace = workspace_,
                   .side = {.workspace = side_workspace_, .before_gradient = before_gradient}});
  }

 private:
  static std::unique_ptr<Linear> make(const LinearLayer& layer, Activation y, const ProgramPlan& plan) {
    const ActivationSpec& x = plan.layers[layer.x];
    return plan.backend.make_linear({.mode = plan.spec.mode,
                                     .views = plan.spec.views,
                                     .batch = plan.spec.batch,
                                     .in_features = x.height * x.width * x.stored,
                                     .out_features = plan.layers[y].stored,
                                     .stats = plan.wants_statistics(y),
                                     .input_gradient = layer.x.index != LayerList::kImages,
                                     .share = plan.spec.share});
  }

  LinearLayer layer_;
  ModelState& state_;
  std::unique_ptr<Linear> op_;
  Tensor bias_gradient_;
  const Tensor &x_, &y_, &y_stats_;
  void *const &workspace_, *const &side_workspace_;
  const Tensor& d_y_;
  const Gradient& d_x_;
};

// A layer as its description and what it writes.
template <typename Description, typename Outputs, typename Run>
class DescribedLayer final : public Layer {
 public:
  DescribedLayer(const Description& description, const Outputs& outputs, double macs)
      : Layer(description.layer, macs, macs * (description.x.index == LayerList::kImages ? 1 : 2)),
        description_(description),
        outputs_(outputs) {}
  std::unique_ptr<LayerRun> make(ProgramPlan& plan) const override {
    return std::make_unique<Run>(description_, outputs_, plan);
  }

 private:
  Description description_;
  Outputs outputs_;
};

}  // namespace

LayerList::LayerList(const Backend& backend, ModelState& state, const InputShape& input)
    : backend_(backend), state_(state), input_(input) {
  add_activation({.name = "images", .height = input.height, .width = input.width, .channels = input.channels},
                 Channels::exact);
}

Activation LayerList::add_activation(ActivationSpec spec, Channels channels) {
  const bool pads = pads_ && channels == Channels::padded;
  spec.stored = pads ? backend_.padded_channels(spec.channels) : spec.channels;
  activations_.push_back(spec);
  return {activations() - 1};
}

void LayerList::note_reader(Activation a, const BatchNormId& bn) {
  (defined(bn) ? spec(a).normalised : spec(a).read_plain) = true;
}

ParameterId LayerList::conv_weight(const std::string& name, int out, int in, int kernel, InitRule rule) {
  const std::int64_t taps = std::int64_t{kernel} * kernel;
  return state_.add_parameter({.name = name + ".weight",
                               .dims = {out, in, kernel, kernel},
                               .init = rule,
                               .fan = taps * (rule == InitRule::kaiming_normal_fan_out ? out : in),
                               .order = ElementOrder::conv});
}

ParameterId LayerList::linear_weight(const std::string& name, int out, int in) {
  return state_.add_parameter(
      {.name = name + ".weight", .dims = {out, in}, .init = InitRule::uniform_fan_in, .fan = in});
}

ParameterId LayerList::linear_weight(const std::string& name, int out, Activation x) {
  const ActivationSpec& from = (*this)[x];
  const std::int64_t pixels = std::int64_t{from.height} * from.width, features = pixels * from.channels;
  ParameterSpec spec{
      .name = name + ".weight", .dims = {out, features}, .init = InitRule::uniform_fan_in, .fan = features};
  if (pixels > 1) {
    spec.order = ElementOrder::flattened_image;
    spec.image_pixels = pixels;
  }
  return state_.add_parameter(spec);
}

ParameterId LayerList::bias(const std::string& name, int units, InitRule rule, std::int64_t fan_in) {
  return state_.add_parameter({.name = name + ".bias", .dims = {units}, .init = rule, .fan = fan_in});
}

Convolved LayerList::add(const Convolution& layer) {
  if (layer.x.index == kImages) spec(layer.x).stored = backend_.image_channels(input_.channels);
  const ActivationSpec x = (*this)[layer.x];
  const std::vector<std::int64_t> weight = dims(layer.weight);
  DPLL_CHECK(weight[1] == x.channels && weight[2] % 2 == 1, "{} does not fit {}", layer.layer, x.name);
  const int height = (x.height + layer.stride - 1) / layer.stride,
            width = (x.width + layer.stride - 1) / layer.stride, channels = static_cast<int>(weight[0]);
  DPLL_CHECK(layer.dropout == 0 || x.stored == x.channels, "the dropout of {} counts channels", layer.layer);
  note_reader(layer.x, layer.bn);
  if (layer.residual.defined()) note_reader(layer.residual, {});
  double taps = static_cast<double>(weight[2]) * static_cast<double>(weight[3]);
  Convolved outputs;
  if (defined(layer.projection)) {
    taps += 1;
    outputs.projected = add_activation({.name = layer.output + " projected",
                                        .height = height,
                                        .width = width,
                                        .channels = channels,
                                        .hidden = true},
                                       Channels::padded);
  }
  ActivationSpec y{.name = layer.output, .height = height, .width = width, .channels = channels};
  if (layer.residual.defined() && (*this)[layer.residual].hidden) y.over = layer.residual;
  outputs.y = add_activation(y, Channels::padded);
  const int stored = (*this)[outputs.y].stored;
  state_.lay_out(layer.weight, {stored, x.stored, weight[2], weight[3]});
  if (defined(layer.bias)) state_.lay_out(layer.bias, {stored});
  if (defined(layer.projection)) state_.lay_out(layer.projection, {stored, x.stored, 1, 1});
  if (defined(layer.bn)) state_.lay_out(layer.bn, x.stored);
  const double macs = taps * x.channels * channels * height * width;
  layers_.push_back(
      std::make_unique<DescribedLayer<Convolution, Convolved, ConvolutionRun>>(layer, outputs, macs));
  return outputs;
}

Activation LayerList::add(const Activate& layer) {
  const ActivationSpec x = (*this)[layer.x];
  BnReluPoolSpec geometry = spec_of(layer, *this);
  check_spec(geometry);
  DPLL_CHECK(geometry.shortcut != Shortcut::subsampled ||
                 (x.stored == x.channels && geometry.shortcut_channels == (*this)[layer.shortcut].channels),
             "the shortcut of {} counts channels", layer.layer);
  note_reader(layer.x, layer.bn);
  if (layer.shortcut.defined()) note_reader(layer.shortcut, layer.shortcut_bn);
  if (defined(layer.bn)) state_.lay_out(layer.bn, x.stored);
  if (defined(layer.shortcut_bn)) state_.lay_out(layer.shortcut_bn, x.stored);
  const Activation y = add_activation({.name = layer.output,
                                       .height = geometry.out_height(),
                                       .width = geometry.out_width(),
                                       .channels = x.channels},
                                      Channels::padded);
  layers_.push_back(std::make_unique<DescribedLayer<Activate, Activation, ActivateRun>>(layer, y, 0));
  return y;
}

Activation LayerList::add(const LinearLayer& layer) {
  return add_linear(layer, Channels::padded);
}

Activation LayerList::add_linear(const LinearLayer& layer, Channels channels) {
  const std::vector<std::int64_t> weight = dims(layer.weight);
  const ActivationSpec x = (*this)[layer.x];
  DPLL_CHECK(weight[1] == std::int64_t{x.height} * x.width * x.channels, "{} does not fit {}", layer.layer,
             x.name);
  note_reader(layer.x, {});
  const Activation y =
      add_activation({.name = layer.output, .channels = static_cast<int>(weight[0])}, channels);
  const int stored = (*this)[y].stored;
  state_.lay_out(layer.weight, {stored, std::int64_t{x.height} * x.width * x.stored});
  state_.lay_out(layer.bias, {stored});
  const double macs = static_cast<double>(weight[0]) * static_cast<double>(weight[1]);
  layers_.push_back(std::make_unique<DescribedLayer<LinearLayer, Activation, LinearRun>>(layer, y, macs));
  return y;
}

void LayerList::add_classifier(const std::string& name, Activation features, ParameterId weight,
                               ParameterId bias) {
  features_ = features;
  logits_ = add_linear(
      LinearLayer{.layer = name, .output = "logits", .x = features, .weight = weight, .bias = bias},
      Channels::exact);
  spec(logits_).flat = true;
}

}  // namespace dpll
