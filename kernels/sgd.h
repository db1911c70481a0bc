// The update of all parameters, which lie in one flat array; see dpll/ops/sgd.h for the formula. Two kernels:
// one counts gradients that are not finite, the other updates everything, or nothing if there were any.
// Bytes a parameter: 8 read to check, then 12 read and 8 written (with an average 16 and 12).
#pragma once

#include "dpll/ops/sgd.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct SgdTask {
  SgdSpec spec;
  float* value = nullptr;
  float* velocity = nullptr;
  float* average = nullptr;  // with spec.ema > 0
  const float* d_value = nullptr;
  UpdateHealth* health = nullptr;
  const StepState* step = nullptr;
};

void sgd(const SgdTask& task, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
