// A readable table of the results of the autotuner.
#pragma once

#include <string>

namespace dpll {

// A table of Backend::tuning_choices(): the engine chosen for each pass and shape, its speed, the next best
// one and their number. `all`: also lists every engine that was timed or excluded, below the chosen one.
// Error(internal) if the text has another form.
std::string tuning_table(const std::string& choices, bool all);

}  // namespace dpll
