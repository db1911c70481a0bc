// The only place that knows oneDNN's version: 2.x (Debian 12) describes a primitive by an operation
// descriptor, 3.x (Ubuntu 24.04) by the arguments of the primitive descriptor. Everything else uses these
// functions.
#pragma once

#include <string>

namespace dpll::cpu {

// "oneDNN 2.6.3 (AVX-512)"
std::string onednn_description();

}  // namespace dpll::cpu
