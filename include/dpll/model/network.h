// Networks and their programs. A Network is a list of layers over named activations, with its parameters; a
// Program is the network for one batch size and mode, with its operations made and its memory placed:
// forward() and backward() only run them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dpll/config.h"
#include "dpll/core/memory_planner.h"
#include "dpll/model/model_state.h"

namespace dpll {

class LayerList;
class LayerRun;
class ProgramPlan;

struct InputShape {
  int height = 32, width = 32, channels = 3;
  int classes = 10;
};

struct ProgramSpec {
  Mode mode = Mode::train;
  int views = 1, batch = 1;
  BatchShare share = {};  // of batch norms in training
  bool operator==(const ProgramSpec&) const = default;
};

// Use: construct, plan().solve(), plan().bind(arena), then for each step write images(), forward(), write
// d_logits(), backward(). Programs of one network may share an arena when they never run at the same time.
class Program {
 public:
  Program(Backend& backend, ModelState& state, const LayerList& layers, const ProgramSpec& spec);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void forward(const BatchRows& rows);
  // Mode::train; writes every gradient of the ModelState that is not zero, as that of a bias is that only
  // batch norms read (see ModelState::gradient()).
  // layer_done(i), where it is given, is called when the gradients of parameters_of(i) are written, from the
  // last layer to the first.
  void backward(const BatchRows& rows, const std::function<void(int layer)>& layer_done = {});
  int layers() const { return static_cast<int>(runs_.size()); }
  std::vector<ParameterId> parameters_of(int layer) const;

  const ProgramSpec& spec() const { return spec_; }
  MemoryPlanner& plan() { return planner_; }
  // compute [V*B, H, W, C]; where a convolution reads them, C is Backend::image_channels() of theirs, and the
  // channels behind those of the images are 0.
  const Tensor& images() const { return *images_; }
  // They lie at `data` from now on, for whatever is run or recorded next.
  void set_images(void* data);
  // Likewise the logits, which else are in the arena.
  void set_logits(void* data);
  const Tensor& logits() const { return *logits_; }      // compute [V*B, classes]
  const Tensor& d_logits() const { return *d_logits_; }  // compute [V*B, classes]
  // "logits", or "features": what the last linear layer reads, compute [V*B, ..., C], of
  // Backend::padded_channels() of its own. Valid after forward().
  const Tensor& output(const std::string& name) const;

  // Activations in forward order. In training mode all of them hold their values after forward() until
  // backward().
  struct NamedTensor {
    std::string name;
    int channels;          // its own; the tensor has Backend::padded_channels() of them
    const Tensor* tensor;  // channels are the last dimension
  };
  const std::vector<NamedTensor>& activations() const { return activations_; }

 private:
  struct NamedRun {
    const char* name;  // of the layer
    std::unique_ptr<LayerRun> run;
  };
  ProgramSpec spec_;
  MemoryPlanner planner_;
  std::unique_ptr<ProgramPlan> tensors_;
  std::vector<NamedRun> runs_;
  const Tensor *images_ = nullptr, *logits_ = nullptr, *d_logits_ = nullptr, *features_ = nullptr;
  std::vector<NamedTensor> activations_;
};

class Network {
 public:
  Network(Backend& backend, const RunConfig::Model& model, const InputShape& input);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const std::string& name() const { return name_; }  // "WRN-28-2"
  std::unique_ptr<Program> make_program(const ProgramSpec& spec);
  // Multiply-accumulates of one image's forward and backward pass, convolutions and linear layers only; of
  // the layers' own channels, however many a backend stores.
  double forward_macs() const;
  double backward_macs() const;

  ModelState& state() { return state_; }
  const ModelState& state() const { return state_; }
  const InputShape& input() const { return input_; }

  // A second network of the same layers whose parameters are the averages of this one's (a method's teacher);
  // null without add_teacher(), which needs state() allocated with averages.
  void add_teacher(const RunConfig::Model& model);
  Network* teacher() { return teacher_.get(); }

 private:
  Backend& backend_;
  InputShape input_;
  ModelState state_;
  std::unique_ptr<LayerList> layers_;
  std::string name_;
  std::unique_ptr<Network> teacher_;
};

// The network that the configuration names, with memory for its parameters but no values yet
// (ModelState::initialise or load). Error(config) when it does not fit the images.
std::unique_ptr<Network> make_network(Backend& backend, const RunConfig::Model& model,
                                      const InputShape& input, bool with_average, bool with_squares = false);
// The same for training by a configuration: with averaged weights, second moments and a teacher where it asks
// for them.
std::unique_ptr<Network> make_network(Backend& backend, const RunConfig& config, const InputShape& input);

}  // namespace dpll
