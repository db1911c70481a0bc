// What seems to be wrong with the labels of a user's own data.
#pragma once

#include <string>
#include <vector>

#include "dpll/data.h"

namespace dpll {

// For data whose number of classes is its largest label + 1: a line for labels that seem to start at 1, and
// one for a largest label that seems to mean "unknown". Empty where nothing is odd. `path` is used in the
// lines.
std::vector<std::string> label_advice(const DataSet& data, const std::string& path);

}  // namespace dpll
