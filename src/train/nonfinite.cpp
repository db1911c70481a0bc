#include "train/nonfinite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/host_copy.h"

namespace dpll {
namespace {

std::string first_nonfinite(const std::string& name, const std::vector<float>& values) {
  const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  return bad == values.end() ? "" : fmt::format("{} has {} at element {}", name, *bad, bad - values.begin());
}

}  // namespace

std::string first_nonfinite(Backend& backend, const std::string& name, const Tensor& tensor) {
  return first_nonfinite(fmt::format("'{}' {}", name, tensor.shape.to_string()),
                         read_floats(backend, tensor));
}

std::string nonfinite_parameter(Backend& backend, const ModelState& model) {
  for (int i = 0; i < model.parameters(); ++i) {
    const std::string found = first_nonfinite(backend, model.spec(i).name, model.value(ParameterId{i}));
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
    const std::string found = first_nonfinite(backend, activation.name, *activation.tensor);
    if (!found.empty()) return "activation " + found;
  }
  return {};
}

}  // namespace dpll
