// What the parameters are before the first step.
#pragma once

#include <functional>
#include <string>

#include "dpll/config.h"
#include "dpll/model/model_state.h"

namespace dpll {

// Draws all values from run.seed and then takes those of model.init, where there is one; `say` is told what
// came from there and what did not. Error(data) where the file cannot be read, holds values that no training
// leaves behind, or does not fit as model.init_match asks: with all tensors that are missing, of another
// shape or foreign.
void set_initial_weights(ModelState& model, const RunConfig& config,
                         const std::function<void(const std::string&)>& say);

}  // namespace dpll
