// The GPU of this machine.
#pragma once

#include <string>

#include "dpll/backend.h"

namespace dpll::test {

struct RealGpu {
  Backend* backend = nullptr;  // null where there is none
  std::string why_not;         // one line
};
// The CUDA backend on the first GPU, made once for each of f32, f16 and bf16; nothing in a build without
// CUDA.
const RealGpu& real_gpu(DType compute = DType::f32);

}  // namespace dpll::test
