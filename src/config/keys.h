// Every key of the configuration, once: name, member, kind, range and meaning.
#pragma once

#include <string>
#include <vector>

#include "config/key_types.h"

namespace dpll {

// In the order of configs/reference.ini. The keys refer to `config`, which must outlive them.
std::vector<Key> bind_keys(RunConfig& config);

// The names of src/objectives/methods.h, in the same order.
std::vector<std::string> method_names();
// The keys of a method's section, "plcr.lambda_max".
std::vector<Key> method_keys(Methods& methods, const std::string& name);

}  // namespace dpll
