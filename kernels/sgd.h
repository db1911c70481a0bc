// The update of all parameters, which lie in one flat array; see dpll/ops/sgd.h for the formula. Two kernels,
// because no weight may move before all gradients are known to be finite: one counts those that are not and
// judges the step, the other updates everything, or nothing.
#pragma once

#include "dpll/ops/sgd.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Device memory that one update owns, zero before its first call.
struct SgdScratch {
  unsigned long long nonfinite = 0;  // so far in this step
  unsigned blocks_done = 0;
  unsigned update = 0;                          // this step moves the weights
  float loss_scale = 1;                         // that this step's gradients carry
  float first_correction = 1, second_root = 1;  // of adam, see AdamCorrection
};

struct SgdTask {
  SgdSpec spec;
  float* value = nullptr;
  float* velocity = nullptr;
  float* square = nullptr;         // with adam and adamw
  float* average = nullptr;        // with spec.ema > 0
  void* weight = nullptr;          // [weights] in the weight type, or null
  void* average_weight = nullptr;  // [weights] in the weight type, or null
  const void* d_weight = nullptr;  // [weights] in the weight type
  const float* d_value = nullptr;  // [elements - weights]
  UpdateHealth* health = nullptr;
  StepState* step = nullptr;
  SgdScratch* scratch = nullptr;
};

void sgd(const SgdTask& task, DType weight_type, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
