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

// "'block1.conv1' [64,16,32,32] has inf at element 17", or empty. Waits for the backend.
std::string first_nonfinite(Backend& backend, const std::string& name, const Tensor& tensor);
// The same for parameters, running statistics or the activations of a forward pass, each in the order of the
// network. The kind comes first: "parameter '...", "statistics '...", "activation '...".
std::string nonfinite_parameter(Backend& backend, const ModelState& model);
std::string nonfinite_statistics(const ModelState& model);
std::string nonfinite_activation(Backend& backend, const Program& program);

}  // namespace dpll
