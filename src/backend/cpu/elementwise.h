// Loops over contiguous values that several operations of the CPU backend share. Each runs on the calling
// thread.
#pragma once

#include <cstdint>

namespace dpll::cpu {

// to += from.
void add_to(float* to, const float* from, std::int64_t count);

// Nearest bfloat16, ties to even; NaN stays NaN.
void round_to_bf16(std::uint16_t* to, const float* from, std::int64_t count);

}  // namespace dpll::cpu
