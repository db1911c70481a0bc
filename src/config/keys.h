// Every key of the configuration, once: name, member, kind, range and meaning.
#pragma once

#include <vector>

#include "config/key_types.h"

namespace dpll {

// In the order of configs/reference.ini. The keys refer to `config`, which must outlive them.
std::vector<Key> bind_keys(RunConfig& config);

}  // namespace dpll
