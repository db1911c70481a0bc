#include "dpll/model/model_state.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>
#include <string_view>
#include <tuple>
#include <utility>

#include "backend/host_copy.h"
#include "dpll/core/philox.h"
#include "dpll/safetensors.h"
#include "io/shape_text.h"

namespace dpll {
namespace {

constexpr std::int64_t kElementAlignment = 16;  // every parameter starts on a 64-byte boundary in float32

std::int64_t round_up(std::int64_t n) {
  return (n + kElementAlignment - 1) / kElementAlignment * kElementAlignment;
}

std::int64_t product(const std::vector<std::int64_t>& dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
}

// dims as a Shape in memory: flattened beyond four dimensions never happens here.
Shape shape_of(const std::vector<std::int64_t>& dims) {
  switch (dims.size()) {
    case 1:
      return {dims[0]};
    case 2:
      return {dims[0], dims[1]};
    case 4:
      return {dims[0], dims[1], dims[2], dims[3]};
    default:
      fail(ExitCode::internal, "a parameter has {} dimensions", dims.size());
  }
}

bool is_weight(const ParameterSpec& spec) {
  return spec.dims.size() >= 2;
}

// Position in memory of element i of PyTorch's order.
std::int64_t memory_position(const ParameterSpec& spec, ConvWeightLayout layout, std::int64_t i) {
  if (!is_weight(spec)) return i;
  if (spec.order == ElementOrder::conv) {
    const std::int64_t in = spec.dims[1], stored = spec.stored[1], taps = spec.dims[2] * spec.dims[3];
    const std::int64_t o = i / (in * taps), c = i / taps % in, tap = i % taps;
    return layout == ConvWeightLayout::ohwi ? (o * taps + tap) * stored + c : (o * stored + c) * taps + tap;
  }
  // A matrix whose columns are those of an image, or of one pixel.
  const bool image = spec.order == ElementOrder::flattened_image;
  const std::int64_t pixels = image ? spec.image_pixels : 1, channels = spec.dims[1] / pixels,
                     stored = spec.stored[1] / pixels;
  const std::int64_t row = i / (channels * pixels), c = i / pixels % channels, p = i % pixels;
  return (row * pixels + p) * stored + c;
}

// Two normal numbers from two 32-bit words (Box and Muller), in double.
std::pair<double, double> box_muller(std::uint32_t a, std::uint32_t b) {
  const double u = (static_cast<double>(a) + 0.5) * 0x1p-32;
  const double angle = 2 * std::numbers::pi * (static_cast<double>(b) + 0.5) * 0x1p-32;
  const double radius = std::sqrt(-2 * std::log(u));
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

std::vector<float> initial_values(const ParameterSpec& spec, int ordinal, std::uint64_t seed) {
  const std::int64_t n = product(spec.dims);
  std::vector<float> out(static_cast<std::size_t>(n), spec.init == InitRule::ones ? 1.0F : 0.0F);
  if (spec.init == InitRule::zeros || spec.init == InitRule::ones) return out;
  const double sigma = std::sqrt(2.0 / static_cast<double>(spec.fan));
  const double bound = 1.0 / std::sqrt(static_cast<double>(spec.fan));
  for (std::int64_t i = 0; i < n; i += 4) {
    const Philox4 r = philox4x32(seed, static_cast<std::uint32_t>(i / 4), static_cast<std::uint32_t>(ordinal),
                                 0, static_cast<std::uint32_t>(Purpose::init));
    double four[4];
    if (spec.init == InitRule::kaiming_normal_fan_out) {
      std::tie(four[0], four[1]) = box_muller(r.v[0], r.v[1]);
      std::tie(four[2], four[3]) = box_muller(r.v[2], r.v[3]);
      for (double& x : four) x *= sigma;
    } else {
      for (int j = 0; j < 4; ++j) four[j] = bound * ((static_cast<double>(r.v[j]) + 0.5) * 0x1p-31 - 1);
    }
    for (std::int64_t j = 0; j < 4 && i + j < n; ++j) {
      out[static_cast<std::size_t>(i + j)] = static_cast<float>(four[j]);
    }
  }
  return out;
}

}  // namespace

ParameterId ModelState::add_parameter(const ParameterSpec& spec) {
  DPLL_CHECK(backend_ == nullptr, "parameter {} comes after allocate()", spec.name);
  specs_.push_back(spec);
  specs_.back().stored = spec.dims;
  return {static_cast<int>(specs_.size()) - 1};
}

BatchNormId ModelState::add_batch_norm(const std::string& name, int channels) {
  BatchNormId id;
  id.gamma = add_parameter({.name = name + ".weight", .dims = {channels}, .init = InitRule::ones});
  id.beta = add_parameter({.name = name + ".bias", .dims = {channels}, .init = InitRule::zeros});
  for (const bool mean : {true, false}) {
    (mean ? id.running_mean : id.running_var) = static_cast<int>(buffer_specs_.size());
    buffer_specs_.push_back({.name = name + (mean ? ".running_mean" : ".running_var"),
                             .channels = channels,
                             .stored = channels,
                             .initial = mean ? 0.0F : 1.0F});
  }
  return id;
}

void ModelState::lay_out(ParameterId id, const std::vector<std::int64_t>& stored) {
  ParameterSpec& s = specs_.at(static_cast<std::size_t>(id.index));
  DPLL_CHECK(backend_ == nullptr && stored.size() == s.dims.size() &&
                 std::equal(stored.begin(), stored.end(), s.dims.begin(), std::greater_equal<>()),
             "{} cannot be stored as {}", s.name, shape_text(stored));
  s.stored = stored;
}

void ModelState::lay_out(const BatchNormId& id, int stored_channels) {
  for (const ParameterId parameter : {id.gamma, id.beta}) lay_out(parameter, {stored_channels});
  for (const int buffer : {id.running_mean, id.running_var}) {
    buffer_specs_.at(static_cast<std::size_t>(buffer)).stored = stored_channels;
  }
}

// Where everything lies in the flat arrays.
void ModelState::place() {
  offsets_.resize(specs_.size());
  for (const bool weights : {true, false}) {
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      if (is_weight(specs_[i]) != weights) continue;
      offsets_[i] = flat_elements_;
      flat_elements_ += round_up(product(specs_[i].stored));
    }
    if (weights) flat_weights_ = flat_elements_;
  }
  for (const BufferSpec& buffer : buffer_specs_) {
    buffer_offsets_.push_back(buffer_elements_);
    buffer_elements_ += round_up(buffer.stored);
  }
}

void ModelState::allocate(Backend& backend, bool with_average, bool with_squares) {
  DPLL_CHECK(backend_ == nullptr, "allocate() called twice");
  backend_ = &backend;
  place();
  const DType master = backend.master_dtype(), weight = backend.weight_dtype();
  const auto bytes_of = [](std::int64_t elements, DType dtype) {
    return static_cast<std::size_t>(elements) * size_of(dtype);
  };
  const std::size_t bytes = bytes_of(flat_elements_, master);
  values_ = backend.allocate(bytes, "the parameters");
  if (weight == master) {
    gradients_ = backend.allocate(bytes, "the gradients");
  } else {
    gradients_ = backend.allocate(bytes_of(flat_elements_ - flat_weights_, master), "the gradients");
    weights_ = backend.allocate(bytes_of(flat_weights_, weight), "the weights in 16 bits");
    weight_gradients_ = backend.allocate(bytes_of(flat_weights_, weight), "the gradients of the weights");
  }
  velocities_ = backend.allocate(bytes, "the momentum");
  if (with_squares) squares_ = backend.allocate(bytes, "the second moments");
  if (with_average) averages_ = backend.allocate(bytes, "the averaged parameters");
  running_ = backend.allocate(bytes_of(buffer_elements_, master), "the running statistics");
}

void ModelState::allocate_average_of(ModelState& trained) {
  DPLL_CHECK(backend_ == nullptr && trained.has_average(), "no averages for a second network");
  backend_ = trained.backend_;
  place();
  DPLL_CHECK(flat_elements_ == trained.flat_elements_, "{} elements for averages of {}", flat_elements_,
             trained.flat_elements_);
  values_of_other_ = trained.averages_.data();
  if (trained.has_copies()) {
    weights_ = backend_->allocate(trained.weights_.bytes(), "the teacher's weights in 16 bits");
  }
  running_ = backend_->allocate(trained.running_.bytes(), "the teacher's running statistics");
  trained.network_of_average_ = this;
}

void ModelState::initialise(std::uint64_t seed) {
  for (int i = 0; i < parameters(); ++i) {
    write(Array::value, i, initial_values(spec(i), i, seed));
    const int ordinal = has_network_of_average() ? parameters() + i : i;
    if (has_average()) write(Array::average, i, initial_values(spec(i), ordinal, seed));
  }
  backend_->fill_zero(flat(velocities_));
  if (has_squares()) backend_->fill_zero(flat(squares_));
  for (int i = 0; i < buffers(); ++i) {
    const BufferSpec& buffer = buffer_specs_[static_cast<std::size_t>(i)];
    const std::vector<float> initial(static_cast<std::size_t>(buffer.channels), buffer.initial);
    write_buffer(i, initial);
    if (has_network_of_average()) network_of_average_->write_buffer(i, initial);
  }
  batches_tracked = 0;
}

Tensor ModelState::flat(const Buffer& buffer) const {
  if (buffer.data() == nullptr) return {};
  return buffer.tensor(backend_->master_dtype(), {flat_elements_});
}

Tensor ModelState::slice(void* array, DType dtype, std::int64_t offset, const Shape& shape) const {
  return {static_cast<std::byte*>(array) + static_cast<std::size_t>(offset) * size_of(dtype), dtype, shape};
}

Tensor ModelState::slice(Array array, int index) const {
  if (array == Array::gradient) return gradient(ParameterId{index});
  void* const flat =
      array == Array::value && values_of_other_ != nullptr ? values_of_other_ : buffer_of(array).data();
  return slice(flat, backend_->master_dtype(), offsets_[static_cast<std::size_t>(index)],
               shape_of(spec(index).stored));
}

Tensor ModelState::value(ParameterId id) const {
  return slice(Array::value, id.index);
}

Tensor ModelState::weight(ParameterId id) const {
  if (!has_copies()) return value(id);
  return slice(weights_.data(), backend_->weight_dtype(), offsets_[static_cast<std::size_t>(id.index)],
               shape_of(spec(id.index).stored));
}

Tensor ModelState::gradient(ParameterId id) const {
  const std::int64_t offset = offsets_[static_cast<std::size_t>(id.index)];
  const Shape shape = shape_of(spec(id.index).stored);
  const DType master = backend_->master_dtype();
  if (gradients_.data() == nullptr) return {};  // that of averages
  if (!has_copies()) return slice(gradients_.data(), master, offset, shape);
  return is_weight(spec(id.index)) ? slice(weight_gradients_.data(), backend_->weight_dtype(), offset, shape)
                                   : slice(gradients_.data(), master, offset - flat_weights_, shape);
}

Tensor ModelState::flat_copies() const {
  if (!has_copies()) return {};
  return slice(weights_.data(), backend_->weight_dtype(), 0, {flat_weights_});
}

SgdCall ModelState::update_call() const {
  const DType master = backend_->master_dtype();
  const Shape others{flat_elements_ - flat_weights_};
  return {.value = flat(values_),
          .velocity = flat(velocities_),
          .square = flat(squares_),
          .average = flat(averages_),
          .weight = flat_copies(),
          .average_weight = has_network_of_average() ? network_of_average_->flat_copies() : Tensor{},
          .d_weight = has_copies()
                          ? slice(weight_gradients_.data(), backend_->weight_dtype(), 0, {flat_weights_})
                          : slice(gradients_.data(), master, 0, {flat_weights_}),
          .d_value = slice(gradients_.data(), master, has_copies() ? 0 : flat_weights_, others)};
}

Tensor ModelState::running(int index) const {
  return slice(running_.data(), backend_->master_dtype(), buffer_offsets_[static_cast<std::size_t>(index)],
               {buffer_specs_[static_cast<std::size_t>(index)].stored});
}

BatchNorm ModelState::batch_norm(const BatchNormId& id) const {
  return {.gamma = value(id.gamma),
          .beta = value(id.beta),
          .running_mean = running(id.running_mean),
          .running_var = running(id.running_var),
          .d_gamma = gradient(id.gamma),
          .d_beta = gradient(id.beta)};
}

void ModelState::swap_average() {
  DPLL_CHECK(has_average(), "the network has no averaged weights");
  for (int i = 0; i < parameters(); ++i) {
    const std::vector<float> value = read(Array::value, i);
    write(Array::value, i, read(Array::average, i));
    write(Array::average, i, value);
  }
  if (!has_network_of_average()) return;
  for (int i = 0; i < buffers(); ++i) {
    const std::vector<float> values = read_buffer(i);
    write_buffer(i, network_of_average_->read_buffer(i));
    network_of_average_->write_buffer(i, values);
  }
}

std::int64_t ModelState::parameter_count() const {
  std::int64_t n = 0;
  for (const ParameterSpec& s : specs_) n += product(s.dims);
  return n;
}

const Buffer& ModelState::buffer_of(Array array) const {
  switch (array) {
    case Array::value:
      return values_;
    case Array::velocity:
      return velocities_;
    case Array::square:
      return squares_;
    case Array::average:
      return averages_;
    case Array::gradient:
      break;  // may lie in two
  }
  fail(ExitCode::internal, "no such flat array");
}

std::vector<float> ModelState::read(Array array, int index) const {
  const ParameterSpec& s = spec(index);
  const std::vector<float> memory = read_floats(*backend_, slice(array, index));
  std::vector<float> out(static_cast<std::size_t>(product(s.dims)));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t at = memory_position(s, backend_->conv_weight_layout(), static_cast<std::int64_t>(i));
    out[i] = memory[static_cast<std::size_t>(at)];
  }
  return out;
}

void ModelState::write(Array array, int index, const std::vector<float>& data) {
  if (array == Array::average && has_network_of_average()) {
    network_of_average_->write(Array::value, index, data);
    return;
  }
  const ParameterSpec& s = spec(index);
  std::vector<float> memory(static_cast<std::size_t>(product(s.stored)));
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::int64_t at = memory_position(s, backend_->conv_weight_layout(), static_cast<std::int64_t>(i));
    memory[static_cast<std::size_t>(at)] = data[i];
  }
  write_floats(*backend_, slice(array, index), memory);
  if (array == Array::value && is_weight(s) && has_copies()) {
    write_floats(*backend_, weight(ParameterId{index}), memory);
  }
}

std::uint64_t ModelState::digest() const {
  std::uint64_t digest = 0xCBF29CE484222325;  // FNV-1a, of words
  const auto add = [&](const std::vector<float>& values) {
    for (const float value : values) {
      digest = (digest ^ std::bit_cast<std::uint32_t>(value)) * 0x100000001B3;
    }
  };
  for (int i = 0; i < parameters(); ++i) add(read(Array::value, i));
  for (int i = 0; i < buffers(); ++i) add(read_buffer(i));
  return digest;
}

std::vector<float> ModelState::read_buffer(int index) const {
  std::vector<float> values = read_floats(*backend_, running(index));
  values.resize(static_cast<std::size_t>(buffer_channels(index)));
  return values;
}

void ModelState::write_buffer(int index, const std::vector<float>& data) {
  std::vector<float> values = data;
  values.resize(static_cast<std::size_t>(running(index).elements()));
  write_floats(*backend_, running(index), values);
}

void ModelState::save(SafetensorsWriter& writer, Array array, const std::string& prefix) const {
  for (int i = 0; i < parameters(); ++i) {
    writer.add(prefix + spec(i).name, DType::f32, spec(i).dims, read(array, i).data());
  }
}

void ModelState::save_buffers(SafetensorsWriter& writer, const std::string& prefix, Array array) const {
  if (array == Array::average && has_network_of_average()) {
    network_of_average_->batches_tracked = batches_tracked;
    network_of_average_->save_buffers(writer, prefix);
    return;
  }
  constexpr std::string_view kVar = ".running_var";
  for (int i = 0; i < buffers(); ++i) {
    const BufferSpec& buffer = buffer_specs_[static_cast<std::size_t>(i)];
    writer.add(prefix + buffer.name, DType::f32, {buffer.channels}, read_buffer(i).data());
    if (buffer.name.ends_with(kVar)) {
      const std::string layer = buffer.name.substr(0, buffer.name.size() - kVar.size());
      writer.add(prefix + layer + ".num_batches_tracked", DType::i64, {}, &batches_tracked);
    }
  }
}

void ModelState::load(const SafetensorsFile& file, Array array, const std::string& prefix) {
  for (int i = 0; i < parameters(); ++i)
    write(array, i, file.get<float>(prefix + spec(i).name, spec(i).dims));
}

void ModelState::load_buffers(const SafetensorsFile& file, const std::string& prefix, Array array) {
  if (array == Array::average && has_network_of_average()) {
    network_of_average_->load_buffers(file, prefix);
    return;
  }
  for (int i = 0; i < buffers(); ++i) {
    const BufferSpec& buffer = buffer_specs_[static_cast<std::size_t>(i)];
    write_buffer(i, file.get<float>(prefix + buffer.name, {buffer.channels}));
    const std::string tracked =
        prefix + buffer.name.substr(0, buffer.name.rfind('.')) + ".num_batches_tracked";
    if (file.contains(tracked)) batches_tracked = file.get<std::int64_t>(tracked).at(0);
  }
}

void ModelState::refuse_unknown(const SafetensorsFile& file, const std::string& prefix) const {
  std::vector<std::string> known;
  for (const ParameterSpec& s : specs_) known.push_back(prefix + s.name);
  for (const BufferSpec& b : buffer_specs_) {
    known.push_back(prefix + b.name);
    known.push_back(prefix + b.name.substr(0, b.name.rfind('.')) + ".num_batches_tracked");
  }
  std::sort(known.begin(), known.end());
  for (const auto& [name, entry] : file.entries()) {
    if (name.starts_with(prefix) && !std::binary_search(known.begin(), known.end(), name)) {
      fail(ExitCode::data, "{}: tensor '{}' does not belong to this network", file.path(), name);
    }
  }
}

}  // namespace dpll
