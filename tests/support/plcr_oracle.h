// An independent PLCR for the CPU, whose bits the one of src/objectives has to have.
#pragma once

#include <memory>

#include "dpll/ops/pll_objective.h"

namespace dpll::test {

// spec.method is PLCR. Tensors are float32, as the CPU backend has them.
std::unique_ptr<PllObjective> make_plcr_oracle(const PllObjectiveSpec& spec);

}  // namespace dpll::test
