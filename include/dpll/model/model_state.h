// Parameters and buffers of a network: one flat array each for values, gradients, velocities and (with EMA)
// averages, so that the update is one pass; and their exchange with PyTorch's state-dict names, shapes and
// layouts. The weights of convolutions and linear layers (parameters of two dimensions or more) come first in
// each. Where the backend multiplies in 16 bits, another array holds copies of them in that type, and their
// gradients are of that type as well.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpll/backend.h"

namespace dpll {

class SafetensorsFile;
class SafetensorsWriter;

// How a parameter starts. All are those of the published modules.
enum class InitRule {
  zeros,
  ones,
  kaiming_normal_fan_out,  // N(0, 2 / fan_out), fan_out = out * k * k (He et al. 2015)
  uniform_fan_in,  // U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's default for layers and their biases
};

// How the elements lie in memory, compared with PyTorch's order.
enum class ElementOrder {
  plain,
  conv,             // [out, in, k, k]; in memory as Backend::conv_weight_layout() says
  flattened_image,  // [out, C*H*W] of a linear layer behind an image; in memory [out, H*W*C], as activations
                    // lie
};

struct ParameterSpec {
  std::string name;                // "block1.layer.0.conv1.weight"
  std::vector<std::int64_t> dims;  // PyTorch's shape
  InitRule init = InitRule::zeros;
  std::int64_t fan = 1;  // fan_in or fan_out, as the rule needs
  ElementOrder order = ElementOrder::plain;
  std::int64_t image_pixels = 0;          // H*W, for flattened_image
  std::vector<std::int64_t> stored = {};  // dims in memory; see ModelState::lay_out()
};

// Index of a parameter or buffer in a ModelState.
struct ParameterId {
  int index = -1;
};
struct BatchNormId {
  ParameterId gamma, beta;
  int running_mean = -1, running_var = -1;
};

class ModelState {
 public:
  ParameterId add_parameter(const ParameterSpec& spec);
  // name.weight, name.bias, name.running_mean, name.running_var and name.num_batches_tracked.
  BatchNormId add_batch_norm(const std::string& name, int channels);
  // How large the parameter is in memory, before allocate(): none of its dimensions is smaller than its own.
  // The elements beyond are Backend::padded_channels()'s. Without this call it is as large as it is.
  void lay_out(ParameterId id, const std::vector<std::int64_t>& stored);
  void lay_out(const BatchNormId& id, int stored_channels);

  // Allocates everything; after this nothing may be added.
  void allocate(Backend& backend, bool with_average, bool with_squares = false);
  // For a network of the same layers whose parameters are the averages of `trained`: its values lie there,
  // and its running statistics, and copies in 16 bits, are its own. It has no gradients. From then on what is
  // written to those averages reaches the copies as well, and `trained` swaps and saves the statistics with
  // them.
  void allocate_average_of(ModelState& trained);
  // Published initial values; normal and uniform numbers from Philox(seed, Purpose::init, parameter ordinal,
  // element in PyTorch's order). Velocities become zero, averages equal the values.
  // With a network of the averages: that one begins with numbers of its own, as if it had further parameters.
  void initialise(std::uint64_t seed);

  // All of them of the shape in memory.
  Tensor value(ParameterId id) const;   // master
  Tensor weight(ParameterId id) const;  // as operations read weights: Backend::weight_dtype()
  // Of a weight: Backend::weight_dtype(), else master. Zero from allocate() on, and for ever where a program
  // has no gradient to write.
  Tensor gradient(ParameterId id) const;
  BatchNorm batch_norm(const BatchNormId& id) const;

  // The flat arrays. Gaps between parameters (alignment) are zero and stay zero, as do padded channels.
  std::int64_t flat_elements() const { return flat_elements_; }
  std::int64_t flat_weights() const { return flat_weights_; }  // of them, the first ones
  // What the update works on; without health and step.
  SgdCall update_call() const;
  bool has_average() const { return averages_.data() != nullptr; }
  // Whether another network computes with the averages.
  bool has_network_of_average() const { return network_of_average_ != nullptr; }
  bool has_squares() const { return squares_.data() != nullptr; }  // second moments, of Adam
  // Exchanges values and averages, and the running statistics of a network of the averages, to evaluate
  // those.
  void swap_average();

  std::int64_t parameter_count() const;  // without gaps and padded channels
  int parameters() const { return static_cast<int>(specs_.size()); }
  const ParameterSpec& spec(int index) const { return specs_[static_cast<std::size_t>(index)]; }
  Tensor gradient(int index) const { return gradient(ParameterId{index}); }
  // Training-mode forward passes so far (PyTorch's num_batches_tracked, the same for every layer).
  std::int64_t batches_tracked = 0;

  enum class Array { value, velocity, square, average, gradient };
  // Adds every parameter of `array` as prefix + name in PyTorch's shape and order, float32.
  void save(SafetensorsWriter& writer, Array array, const std::string& prefix) const;
  // Adds running statistics and num_batches_tracked. With those of a network of the averages, if there is
  // one, for Array::average.
  void save_buffers(SafetensorsWriter& writer, const std::string& prefix, Array array = Array::value) const;
  // Error(data) naming file and tensor when one is missing, extra (with `prefix`), or of another shape or
  // type.
  void load(const SafetensorsFile& file, Array array, const std::string& prefix);
  void load_buffers(const SafetensorsFile& file, const std::string& prefix, Array array = Array::value);
  // Error(data) naming the first tensor of the file that this network does not have (names outside `prefix`
  // ignored).
  void refuse_unknown(const SafetensorsFile& file, const std::string& prefix) const;

  // One parameter in PyTorch's order, converted to float. Gradients are not written.
  std::vector<float> read(Array array, int index) const;
  void write(Array array, int index, const std::vector<float>& data);
  std::vector<float> read_buffer(int index) const;
  // Of all values of parameters and running statistics: equal where all their bits are, and otherwise not but
  // by chance.
  std::uint64_t digest() const;
  void write_buffer(int index, const std::vector<float>& data);
  int buffer_channels(int index) const { return buffer_specs_[static_cast<std::size_t>(index)].channels; }
  int buffers() const { return static_cast<int>(buffer_specs_.size()); }
  const std::string& buffer_name(int index) const {
    return buffer_specs_[static_cast<std::size_t>(index)].name;
  }

 private:
  struct BufferSpec {
    std::string name;
    int channels = 0, stored = 0;  // in memory
    float initial = 0;
  };
  void place();
  Tensor flat(const Buffer& buffer) const;
  Tensor flat_copies() const;  // weights_, undefined where there are none
  Tensor slice(void* array, DType dtype, std::int64_t offset, const Shape& shape) const;
  Tensor slice(Array array, int index) const;
  bool has_copies() const { return weights_.data() != nullptr; }
  const Buffer& buffer_of(Array array) const;
  Tensor running(int index) const;

  Backend* backend_ = nullptr;
  std::vector<ParameterSpec> specs_;
  std::vector<std::int64_t> offsets_;  // in elements
  std::vector<BufferSpec> buffer_specs_;
  std::vector<std::int64_t> buffer_offsets_;
  std::int64_t flat_elements_ = 0, flat_weights_ = 0, buffer_elements_ = 0;
  ModelState* network_of_average_ = nullptr;
  void* values_of_other_ = nullptr;  // in place of values_
  Buffer values_, velocities_, squares_, averages_, running_;
  Buffer gradients_;         // of all parameters, or with copies of those that are no weights
  Buffer weights_;           // copies, where the weight type is not the master type
  Buffer weight_gradients_;  // with copies
};

}  // namespace dpll
