#include "train/nonfinite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "backend/host_copy.h"
#include "io/shape_text.h"

namespace dpll {
namespace {

std::string first_nonfinite(const std::string& name, const std::vector<float>& values) {
  const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  return bad == values.end() ? "" : fmt::format("{} has {} at element {}", name, *bad, bad - values.begin());
}

}  // namespace

std::string nonfinite_gradient(const ModelState& model, int parameter) {
  const ParameterSpec& spec = model.spec(parameter);
  return first_nonfinite(fmt::format("'gradient of {}' {}", spec.name, shape_text(spec.dims)),
                         model.read(ModelState::Array::gradient, parameter));
}

std::string nonfinite_parameter(const ModelState& model) {
  for (int i = 0; i < model.parameters(); ++i) {
    const ParameterSpec& spec = model.spec(i);
    const std::string found = first_nonfinite(fmt::format("'{}' {}", spec.name, shape_text(spec.dims)),
                                              model.read(ModelState::Array::value, i));
    if (!found.empty()) return "parameter " + found;
  }
  return {};
}

std::string nonfinite_statistics(const ModelState& model) {
  for (int i = 0; i < model.buffers(); ++i) {
    const std::string found =
        first_nonfinite(fmt::format("'{}'", model.buffer_name(i)), model.read_buffer(i));
    if (!found.empty()) return "statistics " + found;
  }
  return {};
}

std::string nonfinite_activation(Backend& backend, const Program& program) {
  for (const Program::NamedTensor& activation : program.activations()) {
    std::vector<std::int64_t> shape;
    for (int i = 0; i < activation.tensor->shape.rank(); ++i) shape.push_back(activation.tensor->shape[i]);
    shape.back() = activation.channels;
    const std::string found =
        first_nonfinite(fmt::format("'{}' {}", activation.name, shape_text(shape)),
                        read_channels(backend, *activation.tensor, activation.channels));
    if (!found.empty()) return "activation " + found;
  }
  return {};
}

}  // namespace dpll
