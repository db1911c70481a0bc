// From one step to the next; see dpll/ops/advance.h. One thread: it moves about 150 bytes.
#pragma once

#include "dpll/ops/advance.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

void advance(const AdvanceCall& call, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
