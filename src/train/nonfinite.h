// Where numbers went bad: the first one that is not finite, for messages.
#pragma once

#include <string>

#include "dpll/backend.h"
#include "dpll/core/check.h"
#include "dpll/model/model_state.h"
#include "dpll/model/network.h"

namespace dpll {

// A step whose loss or gradient, or running statistics, are not finite.
class NotFinite : public Error {
 public:
  using Error::Error;
};

// "'block1.conv1' [64,16,32,32] has inf at element 17", or empty. Waits for the backend.
std::string first_nonfinite(Backend& backend, const std::string& name, const Tensor& tensor);
// The same among parameters, running statistics or what a forward pass has left, each in the network's order,
// with the kind in front: "parameter '...", "statistics '...", "activation '...".
std::string nonfinite_parameter(Backend& backend, const ModelState& model);
std::string nonfinite_statistics(const ModelState& model);
std::string nonfinite_activation(Backend& backend, const Program& program);

}  // namespace dpll
