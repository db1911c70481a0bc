// Which rule the update follows; see sgd.h for the formulas.
#pragma once

namespace dpll {

enum class OptimiserKind { sgd, adam, adamw };

}  // namespace dpll
