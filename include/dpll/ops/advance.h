// advance: the last operation of a recorded step. It stores the values that the step reports and changes the
// StepState to that of the next step, so that the host is not needed between steps.
#pragma once

#include <cstdint>

#include "dpll/core/host_device.h"
#include "dpll/ops/pll_objective.h"
#include "dpll/ops/sgd.h"

namespace dpll {

// The values that a training step reports. All are doubles, so a table of records is a table of doubles.
struct StepRecord {
  ObjectiveMetrics metrics;        // of this step alone
  double nonfinite_gradients = 0;  // elements; the update was skipped if there are any
  double halted = 0;               // 1: the update has halted, see sgd.h
  double loss_scale = 1;           // of the next step
};
inline constexpr int kStepRecordFields = sizeof(StepRecord) / sizeof(double);

// The values of a step that the host chooses.
struct StepPlan {
  float learning_rate = 0;
  float scalars[kMethodScalars] = {};  // of the objective's method
};
inline constexpr int kStepPlanFields = sizeof(StepPlan) / sizeof(float);

struct AdvanceCall {
  StepState* step = nullptr;  // backend memory, as everything here
  int batch = 0;              // samples of the step that ends
  // In training, else null:
  StepRecord* records = nullptr;    // [steps]; the entry at the step's position is written
  const StepPlan* plans = nullptr;  // [steps]
  const ObjectiveMetrics* last = nullptr;
  const UpdateHealth* health = nullptr;
  std::uint32_t steps = 0;  // of an epoch
};

// Shared by the backends.
DPLL_HD void advance_step(const AdvanceCall& call) {
  StepState& step = *call.step;
  if (call.records != nullptr && step.position < call.steps) {
    StepRecord& record = call.records[step.position];
    record.metrics = *call.last;
    record.nonfinite_gradients = static_cast<double>(call.health->nonfinite);
    record.halted = call.health->halted;
    record.loss_scale = static_cast<double>(step.loss_scale);
  }
  step.position += 1;
  step.first += static_cast<std::uint32_t>(call.batch);
  if (call.plans != nullptr && step.position < call.steps) {
    const StepPlan& next = call.plans[step.position];
    step.learning_rate = next.learning_rate;
    for (int i = 0; i < kMethodScalars; ++i) step.scalars[i] = next.scalars[i];
  }
}

}  // namespace dpll
