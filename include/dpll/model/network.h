// Networks and their programs. A Network knows its parameters; a Program is the network for one batch size
// and mode, with its operations made and its memory placed: forward() and backward() only run them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/core/memory_planner.h"
#include "dpll/model/model_state.h"

namespace dpll {

struct InputShape {
  int height = 32, width = 32, channels = 3;
  int classes = 10;
};

struct ProgramSpec {
  Mode mode = Mode::train;
  int views = 1, batch = 1;
  bool operator==(const ProgramSpec&) const = default;
};

// Use: construct, plan().solve(), plan().bind(arena), then for each step write images(), forward(), write
// d_logits(), backward(). Programs of one network may share an arena when they never run at the same time.
class Program {
 public:
  virtual ~Program() = default;
  virtual void forward(const BatchRows& rows) = 0;
  virtual void backward(const BatchRows& rows) = 0;  // Mode::train; writes every gradient of the ModelState

  const ProgramSpec& spec() const { return spec_; }
  MemoryPlanner& plan() { return plan_; }
  // compute [V*B, H, W, C]; C may be Backend::image_channels() of the images, the channels behind being 0
  const Tensor& images() const { return images_; }
  const Tensor& logits() const { return logits_; }      // compute [V*B, classes]
  const Tensor& d_logits() const { return d_logits_; }  // compute [V*B, classes]

  // Activations in forward order. In training mode all of them hold their values after forward() until
  // backward().
  struct NamedTensor {
    std::string name;
    const Tensor* tensor;
  };
  const std::vector<NamedTensor>& activations() const { return activations_; }

 protected:
  explicit Program(const ProgramSpec& spec) : spec_(spec) {}

  ProgramSpec spec_;
  MemoryPlanner plan_;
  Tensor images_, logits_, d_logits_;
  std::vector<NamedTensor> activations_;
};

class Network {
 public:
  virtual ~Network() = default;
  virtual std::string name() const = 0;  // "WRN-28-2"
  virtual std::unique_ptr<Program> make_program(const ProgramSpec& spec) = 0;
  // Multiply-accumulates of one image's forward pass, convolutions and linear layers only.
  virtual double forward_macs() const = 0;

  ModelState& state() { return state_; }
  const ModelState& state() const { return state_; }
  const InputShape& input() const { return input_; }

 protected:
  Network(Backend& backend, const InputShape& input) : backend_(backend), input_(input) {}

  Backend& backend_;
  InputShape input_;
  ModelState state_;
};

// The network that the configuration names, with memory for its parameters but no values yet
// (ModelState::initialise or load). Error(config) when it does not fit the images.
std::unique_ptr<Network> make_network(Backend& backend, const RunConfig::Model& model,
                                      const InputShape& input, bool with_average, bool with_squares = false);
// The same for training by a configuration: with averaged weights and second moments where it asks for them.
std::unique_ptr<Network> make_network(Backend& backend, const RunConfig& config, const InputShape& input);

}  // namespace dpll
