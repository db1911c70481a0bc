// What the tuner found, for people to read.
#pragma once

#include <string>

namespace dpll {

// A table of Backend::tuning_choices(): what was chosen for each pass and shape, how fast it is, the next
// best and how many there were. `all`: every one that was timed or left out, below its choice.
// Error(internal) where the text is not such choices.
std::string tuning_table(const std::string& choices, bool all);

}  // namespace dpll
