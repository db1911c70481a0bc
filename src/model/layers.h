// The layers that networks are made of, and the list of them that a network is. A network's own file
// (src/model/lenet.cpp, ...) declares the parameters, under the published names and in their order, and then
// its layers; each layer is named by what it reads and gives back what it writes.
//
// A Layer describes; for each batch size it makes a LayerRun, which owns the layer's operation: its forward
// and its backward pass stand beside each other in layers.cpp. Which memory they work on is ProgramPlan's
// matter.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dpll/model/network.h"

namespace dpll {

// What a layer writes, by its place in the list.
struct Activation {
  int index = -1;
  bool defined() const { return index >= 0; }
};

struct ActivationSpec {
  std::string name;
  int height = 1, width = 1, channels = 1;
  int stored = 1;           // channels in memory, see Backend::padded_channels()
  bool flat = false;        // the tensor is [V*B, C]
  bool normalised = false;  // a batch norm reads it: it needs statistics
  bool read_plain = false;  // something reads it without one
  Activation over = {};     // it lies in the memory of that one, which nothing else reads
  bool hidden = false;      // overwritten in the same forward pass

  // Then the same number added to a channel changes nothing, in training: a bias there has no gradient.
  bool only_normalised() const { return normalised && !read_plain; }
};

// A layer for one batch size.
class LayerRun {
 public:
  virtual ~LayerRun() = default;
  virtual void forward(const BatchRows& rows) = 0;
  // before_gradient: see SideQueue; a layer that says so waits for it, any other begins when it is done.
  virtual void backward(const BatchRows& rows, int before_gradient) = 0;
  virtual bool waits() const { return false; }
  // Those whose gradients are written when its backward pass is done.
  virtual std::vector<ParameterId> parameters() const = 0;
};

class Layer {
 public:
  Layer(const std::string& name, double macs, double backward_macs)
      : name_(name), macs_(macs), backward_macs_(backward_macs) {}
  virtual ~Layer() = default;
  const std::string& name() const { return name_; }
  // Of one image, without those of channels that fill vectors up.
  double macs() const { return macs_; }
  double backward_macs() const { return backward_macs_; }
  virtual std::unique_ptr<LayerRun> make(ProgramPlan& plan) const = 0;

 private:
  std::string name_;
  double macs_, backward_macs_;
};

inline bool defined(ParameterId id) {
  return id.index >= 0;
}
inline bool defined(const BatchNormId& id) {
  return defined(id.gamma);
}

// y = conv(a) + bias + residual with a = x, or a = dropout(relu(bn(x))) where there is a batch norm; padded
// so that a stride of 1 keeps the size. `projection`: a 1x1 convolution of a as well.
struct Convolution {
  std::string layer;   // in profiles
  std::string output;  // the name of y
  Activation x;
  ParameterId weight = {};  // its shape says channels and kernel
  int stride = 1;
  ParameterId bias = {};
  BatchNormId bn = {};
  double dropout = 0;
  int dropout_site = 0;  // distinguishes the dropouts of a network
  ParameterId projection = {};
  Activation residual = {};  // y takes its memory where it is a projection
};
struct Convolved {
  Activation y, projected;
};

// y = pool(relu(bn(x) + shortcut)), see dpll/ops/bn_relu_pool.h. A shortcut of another shape is subsampled.
struct Activate {
  std::string layer, output;
  Activation x;
  BatchNormId bn = {};  // or none
  Pool pool = Pool::none;
  bool relu = true;
  Activation shortcut = {};
  BatchNormId shortcut_bn = {};  // of a projection
};

struct LinearLayer {
  std::string layer, output;
  Activation x;  // of any shape
  ParameterId weight = {}, bias = {};
};

class LayerList {
 public:
  static constexpr int kImages = 0;

  LayerList(const Backend& backend, ModelState& state, const InputShape& input);
  // From here on activations have their own channels alone, as layers need that count them: dropout, and the
  // zeros on both sides of a subsampled shortcut.
  void do_not_pad() { pads_ = false; }

  // ---- parameters, as name.weight and name.bias
  ParameterId conv_weight(const std::string& name, int out, int in, int kernel, InitRule rule);
  ParameterId linear_weight(const std::string& name, int out, int in);  // PyTorch's default values
  // The columns are those of x, which PyTorch flattens as [C, H, W].
  ParameterId linear_weight(const std::string& name, int out, Activation x);
  ParameterId bias(const std::string& name, int units, InitRule rule, std::int64_t fan_in = 1);
  BatchNormId batch_norm(const std::string& name, int channels) {
    return state_.add_batch_norm(name, channels);
  }

  // ---- layers
  static Activation images() { return {kImages}; }
  Convolved add(const Convolution& layer);
  Activation add(const Activate& layer);
  Activation add(const LinearLayer& layer);
  // Ends the list: a linear layer to the classes.
  void add_classifier(const std::string& name, Activation features, ParameterId weight, ParameterId bias);

  const InputShape& input() const { return input_; }
  const ActivationSpec& operator[](Activation a) const {
    return activations_.at(static_cast<std::size_t>(a.index));
  }
  int activations() const { return static_cast<int>(activations_.size()); }
  const Layer& layer(int index) const { return *layers_[static_cast<std::size_t>(index)]; }
  int count() const { return static_cast<int>(layers_.size()); }
  Activation logits() const { return logits_; }
  Activation features() const { return features_; }

 private:
  ActivationSpec& spec(Activation a) { return activations_.at(static_cast<std::size_t>(a.index)); }
  enum class Channels { padded, exact };
  Activation add_activation(ActivationSpec spec, Channels channels);
  Activation add_linear(const LinearLayer& layer, Channels channels);
  void note_reader(Activation a, const BatchNormId& bn);  // bn: or none
  const std::vector<std::int64_t>& dims(ParameterId id) const { return state_.spec(id.index).dims; }

  const Backend& backend_;
  ModelState& state_;
  InputShape input_;
  bool pads_ = true;
  std::vector<ActivationSpec> activations_;
  std::vector<std::unique_ptr<Layer>> layers_;
  Activation logits_, features_;
};

}  // namespace dpll
