#include "model/mlp.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "dpll/core/trace.h"
#include "model/schedule.h"

namespace dpll {

Mlp::Mlp(Backend& backend, const RunConfig::Model& model, const InputShape& input) : Network(backend, input) {
  int width = input.height * input.width * input.channels;
  for (const int units : model.hidden) {
    const std::string name = fmt::format("hidden.{}", hidden_.size());
    Layer layer = add_layer(name + ".linear", width, units);
    layer.name = name;
    layer.bn = state_.add_batch_norm(name + ".bn", units);
    hidden_.push_back(layer);
    width = units;
  }
  last_ = add_layer("last", width, input.classes);
}

Mlp::Layer Mlp::add_layer(const std::string& name, int inputs, int units) {
  Layer layer{.name = name, .inputs = inputs, .units = units, .weight = {}, .bias = {}, .bn = {}};
  ParameterSpec weight{
      .name = name + ".weight", .dims = {units, inputs}, .init = InitRule::uniform_fan_in, .fan = inputs};
  // The first layer of a network for images: PyTorch flattens [C,H,W], images here lie as [H,W,C].
  const std::int64_t pixels = std::int64_t{input_.height} * input_.width;
  if (state_.parameters() == 0 && pixels > 1) {
    weight.order = ElementOrder::flattened_image;
    weight.image_channels = input_.channels;
    weight.image_pixels = pixels;
  }
  layer.weight = state_.add_parameter(weight);
  layer.bias = state_.add_parameter(
      {.name = name + ".bias", .dims = {units}, .init = InitRule::uniform_fan_in, .fan = inputs});
  return layer;
}

std::string Mlp::name() const {
  std::vector<int> units;
  for (const Layer& layer : hidden_) units.push_back(layer.units);
  return units.empty() ? "linear" : fmt::format("MLP-{}", fmt::join(units, "-"));
}

double Mlp::forward_macs() const {
  double macs = double(last_.inputs) * last_.units;
  for (const Layer& layer : hidden_) macs += double(layer.inputs) * layer.units;
  return macs;
}

// An Mlp made for one batch size. Operations: 2i linear layer i, 2i + 1 its bn and relu, then the last layer.
class MlpProgram final : public Program {
 public:
  MlpProgram(Mlp& network, const ProgramSpec& spec);
  void forward(const BatchRows& rows) override;
  void backward(const BatchRows& rows) override;

 private:
  // A hidden layer's linear output, its statistics, and the same after bn and relu.
  struct Stage {
    Tensor value, stats, active;
    Tensor d_value, d_active;
    void* saved = nullptr;
    std::unique_ptr<Linear> linear;
    std::unique_ptr<BnReluPool> bn_relu;
  };
  void plan_stage(Stage& stage, const Mlp::Layer& layer, int operation);
  std::unique_ptr<Linear> make_linear(const Mlp::Layer& layer, bool stats, bool input_gradient);
  void need_workspace(std::size_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, bytes); }

  Mlp& network_;
  Backend& backend_;
  ModelState& state_;
  TickSchedule schedule_;
  std::size_t workspace_bytes_ = 0;
  void* workspace_ = nullptr;
  std::vector<Stage> stages_;
  std::unique_ptr<Linear> last_;
};

std::unique_ptr<Linear> MlpProgram::make_linear(const Mlp::Layer& layer, bool stats, bool input_gradient) {
  std::unique_ptr<Linear> linear = backend_.make_linear({.mode = spec_.mode,
                                                         .views = spec_.views,
                                                         .batch = spec_.batch,
                                                         .in_features = layer.inputs,
                                                         .out_features = layer.units,
                                                         .stats = stats,
                                                         .input_gradient = input_gradient});
  need_workspace(linear->workspace_bytes());
  return linear;
}

// `operation` writes value, operation + 1 active, operation + 2 reads active.
void MlpProgram::plan_stage(Stage& stage, const Mlp::Layer& layer, int operation) {
  const bool train = spec_.mode == Mode::train;
  const DType compute = backend_.compute_dtype();
  const Shape shape{std::int64_t{spec_.views} * spec_.batch, 1, 1, layer.units};
  stage.linear = make_linear(layer, train, operation > 0);
  stage.bn_relu = backend_.make_bn_relu_pool(
      {.mode = spec_.mode, .views = spec_.views, .batch = spec_.batch, .channels = layer.units});
  need_workspace(stage.bn_relu->workspace_bytes());
  plan_.add(&stage.value, compute, shape, schedule_.activation(operation, operation + 1, operation + 1),
            layer.name);
  plan_.add(&stage.stats, backend_.master_dtype(), view_stats_shape(spec_.views, layer.units),
            schedule_.activation(operation, operation + 1, operation + 1), layer.name + " statistics");
  plan_.add(&stage.active, compute, shape, schedule_.activation(operation + 1, operation + 2, operation + 2),
            layer.name + " relu");
  plan_.add(&stage.saved, stage.bn_relu->saved_bytes(),
            schedule_.activation(operation + 1, operation + 1, operation + 1), layer.name + " saved");
  activations_.push_back({layer.name, &stage.value});
  activations_.push_back({layer.name + " relu", &stage.active});
  if (!train) return;
  plan_.add(&stage.d_active, compute, shape,
            {schedule_.backward(operation + 2), schedule_.backward(operation + 1)},
            "d_" + layer.name + " relu");
  plan_.add(&stage.d_value, compute, shape,
            {schedule_.backward(operation + 1), schedule_.backward(operation)}, "d_" + layer.name);
}

MlpProgram::MlpProgram(Mlp& network, const ProgramSpec& spec)
    : Program(spec),
      network_(network),
      backend_(network.backend_),
      state_(network.state()),
      schedule_{2 * static_cast<int>(network.hidden_.size()) + 1, spec.mode},
      stages_(network.hidden_.size()) {
  const InputShape& in = network.input();
  const DType compute = backend_.compute_dtype();
  const std::int64_t rows = std::int64_t{spec.views} * spec.batch;
  const int last = schedule_.operations - 1;
  plan_.add(&images_, compute, {rows, in.height, in.width, in.channels}, schedule_.activation(-1, 0, 0),
            "images");
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    plan_stage(stages_[i], network.hidden_[i], 2 * static_cast<int>(i));
  }
  last_ = make_linear(network.last_, false, !stages_.empty());
  plan_.add(&logits_, compute, {rows, in.classes}, {schedule_.forward(last), schedule_.objective()},
            "logits");
  activations_.push_back({"logits", &logits_});
  if (spec.mode == Mode::train) {
    plan_.add(&d_logits_, compute, {rows, in.classes}, {schedule_.objective(), schedule_.backward(last)},
              "d_logits");
  }
  plan_.add(&workspace_, workspace_bytes_, {0, schedule_.end()}, "workspace");
}

void MlpProgram::forward(const BatchRows&) {
  const trace::Range range("forward");
  trace::Sequence layers;
  const Tensor* input = &images_;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    Stage& stage = stages_[i];
    const Mlp::Layer& layer = network_.hidden_[i];
    layers.next(layer.name.c_str());
    stage.linear->forward({.y = stage.value,
                           .y_stats = stage.stats,
                           .x = *input,
                           .weight = state_.weight(layer.weight),
                           .bias = state_.value(layer.bias),
                           .workspace = workspace_});
    stage.bn_relu->forward({.y = stage.active,
                            .x = stage.value,
                            .x_stats = stage.stats,
                            .bn = state_.batch_norm(layer.bn),
                            .saved = stage.saved,
                            .workspace = workspace_});
    input = &stage.active;
  }
  layers.next("last");
  last_->forward({.y = logits_,
                  .x = *input,
                  .weight = state_.weight(network_.last_.weight),
                  .bias = state_.value(network_.last_.bias),
                  .workspace = workspace_});
}

void MlpProgram::backward(const BatchRows&) {
  const trace::Range range("backward");
  trace::Sequence layers;
  layers.next("last");
  last_->backward({.d_x = stages_.empty() ? Tensor{} : stages_.back().d_active,
                   .d_weight = state_.gradient(network_.last_.weight),
                   .d_bias = state_.gradient(network_.last_.bias),
                   .d_y = d_logits_,
                   .x = stages_.empty() ? images_ : stages_.back().active,
                   .weight = state_.weight(network_.last_.weight),
                   .workspace = workspace_});
  for (std::size_t i = stages_.size(); i-- > 0;) {
    Stage& stage = stages_[i];
    const Mlp::Layer& layer = network_.hidden_[i];
    layers.next(layer.name.c_str());
    stage.bn_relu->backward({.d_x = stage.d_value,
                             .bn = state_.batch_norm(layer.bn),
                             .d_y = stage.d_active,
                             .x = stage.value,
                             .x_stats = stage.stats,
                             .saved = stage.saved,
                             .workspace = workspace_});
    stage.linear->backward({.d_x = i == 0 ? Tensor{} : stages_[i - 1].d_active,
                            .d_weight = state_.gradient(layer.weight),
                            .d_bias = state_.gradient(layer.bias),
                            .d_y = stage.d_value,
                            .x = i == 0 ? images_ : stages_[i - 1].active,
                            .weight = state_.weight(layer.weight),
                            .workspace = workspace_});
  }
}

std::unique_ptr<Program> Mlp::make_program(const ProgramSpec& spec) {
  return std::make_unique<MlpProgram>(*this, spec);
}

}  // namespace dpll
