// The objective of a batch, see dpll/ops/pll_objective.h, and the evaluation's cross entropy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "dpll/ops/pll_objective.h"
#include "namespace.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// Device memory that one objective owns, zero before its first call.
struct ObjectiveScratch {
  unsigned samples_done = 0;  // so far in this step
};

struct PllObjectiveTask {
  int views = 0, batch = 0, classes = 0;
  ObjectivePart part = ObjectivePart::all;
  bool adds = false;         // to last
  DType type = DType::f32;   // of logits and d_logits
  int scratch_arrays = 0;    // of the method; pll_objective() sets it
  void* d_logits = nullptr;  // [V*B, classes]
  float* targets = nullptr;  // [N, classes]
  float* kept = nullptr;     // [N, kept_rows, classes] or null
  int kept_rows = 0;
  ObjectiveMetrics *last = nullptr, *total = nullptr;
  const void* logits = nullptr;               // [V*B, classes]
  const void* teacher_logits = nullptr;       // [V*B, classes] or null
  const std::uint64_t* candidates = nullptr;  // [N, (classes + 63) / 64]
  const std::int32_t* labels = nullptr;       // [N] or null
  const float* class_values = nullptr;        // [classes] or null
  const StepState* step = nullptr;
  const std::int32_t* order = nullptr;  // [N] or null
  int ahead = 0;                        // see BatchRows
  int total_batch = 0;                  // samples of all ranks
  void* workspace = nullptr;
  ObjectiveScratch* scratch = nullptr;
};

// Two kernels for each round of the method, then one kernel with a block a sample: a pass over its logits of
// all views. The block that is last to finish sums the samples' metrics. The arrays of a method are in shared
// memory, and in the workspace where a round's results are read later or 96 KiB are too little: for six
// arrays, which PLCR with three views has, with more than 2048 classes.
std::size_t pll_objective_workspace(const PllObjectiveSpec& spec);
// The most sums of a round.
std::int64_t pll_objective_sums(const PllObjectiveSpec& spec);
// `share` makes the sums of a round, of this rank's samples, those of all ranks; empty: they are here.
void pll_objective(const PllObjectiveTask& task, const Method& method,
                   const std::function<void(double* sums, std::int64_t count)>& share, Stream stream);

struct CrossEntropyTask {
  EvaluationSums* sums = nullptr;
  std::int32_t* predictions = nullptr;   // [N] or null
  float* confidences = nullptr;          // [N] or null
  const void* logits = nullptr;          // [rows, classes]
  const std::int32_t* labels = nullptr;  // [N] or null
  const StepState* step = nullptr;
  const std::int32_t* order = nullptr;
  std::int64_t rows = 0;
  int classes = 0;
};

// One block, a warp a row at a time: the sums have one order.
void cross_entropy(const CrossEntropyTask& task, DType type, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
