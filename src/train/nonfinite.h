// Finds the first number that is not finite, for messages.
#pragma once

#include <string>

#include "dpll/backend.h"
#include "dpll/core/check.h"
#include "dpll/model/model_state.h"
#include "dpll/model/network.h"

namespace dpll {

// The loss, a gradient or a running statistic of a step is not finite.
class NotFinite : public Error {
 public:
  using Error::Error;
};

// "'gradient of block1.conv1.weight' [64,16,3,3] has inf at element 17", in PyTorch's order, or empty. All of
// them wait for the backend.
std::string nonfinite_gradient(const ModelState& model, int parameter);
// The same for parameters, running statistics or the activations of a forward pass, each in the order of the
// network. The kind comes first: "parameter '...", "statistics '...", "activation '...". Channels that the
// backend adds are not among the elements.
std::string nonfinite_parameter(const ModelState& model);
std::string nonfinite_statistics(const ModelState& model);
std::string nonfinite_activation(Backend& backend, const Program& program);

}  // namespace dpll
