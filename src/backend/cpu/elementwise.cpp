#include "backend/cpu/elementwise.h"

#include "backend/cpu/parallel.h"
#include "core/half.h"

namespace dpll::cpu {

DPLL_VECTOR_CLONES void add_to(float* __restrict to, const float* __restrict from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
}

DPLL_VECTOR_CLONES void round_to_bf16(std::uint16_t* __restrict to, const float* __restrict from,
                                      std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = float_to_bf16(from[i]);
}

}  // namespace dpll::cpu
