// The files of tests/golden that are part of the program, for `dpll_engine selftest`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dpll::selftest {

// tests/golden/<operation>.safetensors.
std::vector<std::uint8_t> embedded_golden(const std::string& operation);

}  // namespace dpll::selftest
