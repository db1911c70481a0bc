#include "dpll/model/network.h"

#include "dpll/core/trace.h"
#include "model/architectures.h"
#include "model/layers.h"
#include "model/program_plan.h"

namespace dpll {
namespace {

std::string add_layers(LayerList& net, const RunConfig::Model& model) {
  switch (model.architecture) {
    case Architecture::wide_resnet:
      return add_wide_resnet(net, model);
    case Architecture::resnet:
      return add_resnet(net, model);
    case Architecture::resnet18:
      return add_resnet18(net, model);
    case Architecture::preact_resnet18:
      return add_preact_resnet18(net, model);
    case Architecture::lenet:
      return add_lenet(net);
    case Architecture::mlp:
      return add_mlp(net, model);
  }
  fail(ExitCode::internal, "no such architecture");
}

}  // namespace

Program::Program(Backend& backend, ModelState& state, const LayerList& layers, const ProgramSpec& spec)
    : spec_(spec), tensors_(std::make_unique<ProgramPlan>(backend, state, layers, spec)) {
  for (int i = 0; i < layers.count(); ++i) {
    tensors_->begin_layer(i);
    runs_.push_back({layers.layer(i).name().c_str(), layers.layer(i).make(*tensors_)});
  }
  tensors_->finish(planner_, layers.logits());
  images_ = &tensors_->value(LayerList::images());
  logits_ = &tensors_->value(layers.logits());
  d_logits_ = &tensors_->gradient(layers.logits());
  features_ = &tensors_->value(layers.features());
  for (int i = 1; i < layers.activations(); ++i) {
    const Activation a{i};
    if (!layers[a].hidden) activations_.push_back({layers[a].name, layers[a].channels, &tensors_->value(a)});
  }
}

Program::~Program() = default;

void Program::set_images(void* data) {
  tensors_->set_images(data);
}

void Program::set_logits(void* data) {
  tensors_->set_value(tensors_->layers.logits(), data);
}

void Program::forward(const BatchRows& rows) {
  const trace::Range range("forward");
  trace::Sequence layers;
  for (const NamedRun& layer : runs_) {
    layers.next(layer.name);
    layer.run->forward(rows);
  }
}

std::vector<ParameterId> Program::parameters_of(int layer) const {
  return runs_[static_cast<std::size_t>(layer)].run->parameters();
}

void Program::backward(const BatchRows& rows, const std::function<void(int layer)>& layer_done) {
  const trace::Range range("backward");
  trace::Sequence layers;
  Backend& backend = tensors_->backend;
  std::vector<int> marks(runs_.size(), -1);  // behind what each layer has put into the second queue
  const auto mark_of = [&](int layer) { return layer < 0 ? -1 : marks[static_cast<std::size_t>(layer)]; };
  for (std::size_t i = runs_.size(); i-- > 0;) {
    layers.next(runs_[i].name);
    const int before_gradient = mark_of(tensors_->done_before_gradients(static_cast<int>(i)));
    backend.wait_side(mark_of(tensors_->done_before(static_cast<int>(i))));
    if (!runs_[i].run->waits()) backend.wait_side(before_gradient);
    runs_[i].run->backward(rows, before_gradient);
    marks[i] = backend.mark_side();
    if (layer_done) layer_done(static_cast<int>(i));
  }
  backend.wait_side(backend.mark_side());
}

const Tensor& Program::output(const std::string& name) const {
  if (name == "logits") return *logits_;
  DPLL_CHECK(name == "features", "networks have no output '{}'", name);
  return *features_;
}

Network::Network(Backend& backend, const RunConfig::Model& model, const InputShape& input)
    : backend_(backend),
      input_(input),
      layers_(std::make_unique<LayerList>(backend, state_, input)),
      name_(add_layers(*layers_, model)) {}

Network::~Network() = default;

void Network::add_teacher(const RunConfig::Model& model) {
  teacher_ = std::make_unique<Network>(backend_, model, input_);
  teacher_->state_.allocate_average_of(state_);
}

std::unique_ptr<Program> Network::make_program(const ProgramSpec& spec) {
  return std::make_unique<Program>(backend_, state_, *layers_, spec);
}

double Network::forward_macs() const {
  double macs = 0;
  for (int i = 0; i < layers_->count(); ++i) macs += layers_->layer(i).macs();
  return macs;
}

double Network::backward_macs() const {
  double macs = 0;
  for (int i = 0; i < layers_->count(); ++i) macs += layers_->layer(i).backward_macs();
  return macs;
}

std::unique_ptr<Network> make_network(Backend& backend, const RunConfig::Model& model,
                                      const InputShape& input, bool with_average, bool with_squares) {
  auto network = std::make_unique<Network>(backend, model, input);
  network->state().allocate(backend, with_average, with_squares);
  return network;
}

std::unique_ptr<Network> make_network(Backend& backend, const RunConfig& config, const InputShape& input) {
  const bool has_teacher = facts_of(method_of(config)).has_teacher;
  auto network = make_network(backend, config.model, input, config.optimiser.ema > 0 || has_teacher,
                              config.optimiser.kind != OptimiserKind::sgd);
  if (has_teacher) network->add_teacher(config.model);
  return network;
}

}  // namespace dpll
