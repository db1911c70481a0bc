// The objective: a block a sample, one kernel for each method of src/objectives. With 32 classes or fewer the
// block is one warp, which meets no barrier, and the samples are spread over as many multiprocessors as there
// are; more classes a lane would cost more, in exp and log of doubles one after another, than barriers do.
// Arithmetic is in double: rows are short, and what is stored is then float32's one rounding away from the
// exact result.
#include "pll_objective.h"

#include <cmath>

#include "launch.cuh"
#include "objectives/run_sample.h"
#include "reduce.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

using objectives::kLargest;
using objectives::larger;
using objectives::Top;

__device__ inline std::int64_t sample_of(const StepState& step, const std::int32_t* order, std::int64_t row) {
  const std::int64_t position = std::int64_t{step.first} + row;
  return order == nullptr ? position : order[position];
}

// Where a batch has its scratch.
struct BatchScratch {
  double* samples;  // [batch, scratch_arrays, classes]; null in objective(): in the block's shared memory
  double* sums;     // of the rounds

  __device__ double* of_sample(const PllObjectiveTask& task, std::int64_t row) const {
    return samples + row * task.scratch_arrays * task.classes;
  }
};

// Shared memory that every GPU from sm_80 on has for a block, less what kernels declare themselves.
constexpr std::size_t kMostShared = 96 * 1024;

// The group of a block's threads (objectives/sample.h). Loads and stores look at the type, so that a method
// is compiled once and not once a type: every thread takes the same way, and a row has few classes beside
// what is computed of it.
class BlockLanes {
 public:
  static constexpr bool kSingle = true;

  // scratch: of the sample
  __device__ BlockLanes(const PllObjectiveTask& task, std::int64_t row, double* scratch, const double* sums)
      : task_(task),
        state_(*task.step),
        row_(row),
        sample_(sample_of(*task.step, task.order, task.ahead + row)),
        scratch_(scratch),
        sums_(sums) {}

  __device__ int classes() const { return task_.classes; }
  __device__ int views() const { return task_.views; }
  __device__ int first() const { return static_cast<int>(threadIdx.x); }
  __device__ int stride() const { return static_cast<int>(blockDim.x); }
  __device__ double sum(double x) const { return reductions_.sum(x); }
  __device__ Top largest(const Top& top) const { return reductions_.largest(top); }
  __device__ ObjectivePart part() const { return task_.part; }
  __device__ double logit(int view, int k) const { return number(task_.logits, place(view, k)); }
  __device__ double teacher_logit(int view, int k) const {
    return number(task_.teacher_logits, place(view, k));
  }
  __device__ bool in_set(int k) const {
    const std::uint64_t* const words = task_.candidates + sample_ * ((task_.classes + 63) / 64);
    return ((words[k / 64] >> (k % 64)) & 1u) != 0;
  }
  __device__ int label() const { return task_.labels == nullptr ? -1 : task_.labels[sample_]; }
  __device__ double row(int k) const {
    return static_cast<double>(task_.targets[sample_ * task_.classes + k]);
  }
  __device__ double set_row(int k, double x) const {
    task_.targets[sample_ * task_.classes + k] = static_cast<float>(x);
    return row(k);
  }
  __device__ double kept(int r, int k) const { return static_cast<double>(task_.kept[kept_place(r, k)]); }
  __device__ void keep(int r, int k, double x) const { task_.kept[kept_place(r, k)] = static_cast<float>(x); }
  __device__ double class_value(int k) const { return static_cast<double>(task_.class_values[k]); }
  __device__ void set_gradient(int view, int k, double x) const {
    if (task_.part == ObjectivePart::rows) return;
    const std::int64_t at = place(view, k);
    const auto rounded = static_cast<float>(x);
    switch (task_.type) {
      case DType::f16:
        static_cast<Half*>(task_.d_logits)[at] = from_float<Half>(rounded);
        break;
      case DType::bf16:
        static_cast<Bfloat*>(task_.d_logits)[at] = from_float<Bfloat>(rounded);
        break;
      default:
        static_cast<float*>(task_.d_logits)[at] = rounded;
    }
  }
  __device__ int batch() const { return task_.total_batch; }
  __device__ double batch_sum(int i) const { return sums_[i]; }
  __device__ double gradient_scale() const { return static_cast<double>(state_.loss_scale) / batch(); }
  __device__ double scalar(int i) const { return static_cast<double>(state_.scalars[i]); }
  __device__ double* scratch(int i) const { return scratch_ + std::int64_t{i} * task_.classes; }

 private:
  __device__ double number(const void* numbers, std::int64_t at) const {
    switch (task_.type) {
      case DType::f16:
        return static_cast<double>(to_float(static_cast<const Half*>(numbers)[at]));
      case DType::bf16:
        return static_cast<double>(to_float(static_cast<const Bfloat*>(numbers)[at]));
      default:
        return static_cast<double>(static_cast<const float*>(numbers)[at]);
    }
  }
  __device__ std::int64_t place(int view, int k) const {
    return (std::int64_t{view} * task_.batch + row_) * task_.classes + k;
  }
  __device__ std::int64_t kept_place(int r, int k) const {
    return (sample_ * task_.kept_rows + r) * task_.classes + k;
  }

  const PllObjectiveTask& task_;
  const StepState& state_;
  std::int64_t row_, sample_;
  double* scratch_;
  const double* sums_;
  mutable BlockReductions reductions_;
};

// A block a sample.
// Cost "pll_objective prepare" of a logit: 2 S bytes, 8 operations; in float64.
template <typename M>
__global__ void prepare(PllObjectiveTask task, M method, int round, BatchScratch scratch) {
  wait_for_previous_kernel();
  if constexpr (objectives::rounds_of<M>() > 0) {
    const std::int64_t row = blockIdx.x;
    method.prepare(round, BlockLanes(task, row, scratch.of_sample(task, row), scratch.sums));
  }
}

constexpr int kSumWarps = 4;

// A warp a sum: the order of the samples is the same in every run.
// Cost "pll_objective sums" of a term: 8 bytes, 2 operations; in float64.
template <typename M>
__global__ void sum_terms(PllObjectiveTask task, M method, int round, int count, BatchScratch scratch,
                          double* sums) {
  wait_for_previous_kernel();
  if constexpr (objectives::rounds_of<M>() > 0) {
    const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
    const int index = static_cast<int>(blockIdx.x) * kSumWarps + warp;
    if (index >= count) return;
    double sum = 0;
    for (int row = lane; row < task.batch; row += kWarp) {
      sum += method.term(round, BlockLanes(task, row, scratch.of_sample(task, row), scratch.sums), index);
    }
    sum = warp_sum(sum);
    if (lane == 0) sums[index] = sum;
  }
}

// Adds the samples' metrics to `last` and `total` once all blocks have their own in `per_sample`. Called by
// the first warp of every block; the warp that comes last adds, by a tree whose order does not depend on who
// that is.
__device__ void add_metrics(const PllObjectiveTask& task, const ObjectiveMetrics& metrics,
                            ObjectiveMetrics* per_sample) {
  const int lane = static_cast<int>(threadIdx.x);
  unsigned before = 0;
  if (lane == 0) {
    per_sample[blockIdx.x] = metrics;
    __threadfence();  // the metrics are there before they are counted
    before = atomicAdd(&task.scratch->samples_done, 1u);
  }
  if (__shfl_sync(kFullMask, before, 0) != gridDim.x - 1) return;
  __threadfence();  // and are read after they were counted
  double sums[kObjectiveMetricsFields] = {};
  for (int row = lane; row < task.batch; row += kWarp) {
    const auto* const fields = reinterpret_cast<const double*>(per_sample + row);
    for (int i = 0; i < kObjectiveMetricsFields; ++i) sums[i] += fields[i];
  }
  double own = 0;  // field number `lane`
  for (int i = 0; i < kObjectiveMetricsFields; ++i) {
    const double sum = warp_sum(sums[i]);
    if (lane == i) own = sum;
  }
  if (lane < kObjectiveMetricsFields) {
    double* const last = reinterpret_cast<double*>(task.last) + lane;
    *last = task.adds ? *last + own : own;
    reinterpret_cast<double*>(task.total)[lane] += own;
  }
  if (lane == 0) task.scratch->samples_done = 0;  // for the next launch
}
static_assert(kObjectiveMetricsFields <= kWarp);

// Cost "pll_objective" of a logit: 2 S + 8 / V bytes, 12 + 25 / V operations; in float64; V views share a
// target row; and 224 bytes a sample for its metrics.
template <typename M>
__global__ void objective(PllObjectiveTask task, M method, BatchScratch scratch,
                          ObjectiveMetrics* per_sample) {
  wait_for_previous_kernel();
  DPLL_DYNAMIC_SHARED(double, shared);
  const std::int64_t row = blockIdx.x;
  double* const of_sample = scratch.samples == nullptr ? shared : scratch.of_sample(task, row);
  const ObjectiveMetrics metrics =
      objectives::run_sample(method, BlockLanes(task, row, of_sample, scratch.sums));
  if (threadIdx.x < kWarp) add_metrics(task, metrics, per_sample);
}

constexpr int kEvaluationWarps = 16;

// Cost "cross_entropy" of a logit: S bytes, 4 operations; in float64.
template <typename T>
__global__ void evaluate(CrossEntropyTask task) {
  wait_for_previous_kernel();
  DPLL_SHARED(double, sums, 3 * kEvaluationWarps);
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  double samples = 0, loss = 0, correct = 0;
  for (std::int64_t row = warp; row < task.rows; row += kEvaluationWarps) {
    const T* const logits = static_cast<const T*>(task.logits) + row * task.classes;
    Top top{-kLargest, task.classes};
    for (int k = lane; k < task.classes; k += kWarp) {
      top = larger(top, {static_cast<double>(to_float(logits[k])), k});
    }
    top = warp_top(top);
    if (top.index == task.classes) top.index = 0;  // nothing but NaN
    const auto largest = static_cast<double>(to_float(logits[top.index]));
    double others = 0;
    for (int k = lane; k < task.classes; k += kWarp) {
      if (k != top.index) others += exp(static_cast<double>(to_float(logits[k])) - largest);
    }
    others = warp_sum(others);
    if (lane != 0) continue;
    const double log_total = log1p(others);
    const std::int64_t sample = sample_of(*task.step, task.order, row);
    if (task.predictions != nullptr) task.predictions[sample] = top.index;
    if (task.confidences != nullptr) task.confidences[sample] = static_cast<float>(exp(-log_total));
    const std::int32_t label = task.labels == nullptr ? -1 : task.labels[sample];
    if (label < 0) continue;
    samples += 1;
    loss += log_total + (largest - static_cast<double>(to_float(logits[label])));
    correct += top.index == label ? 1 : 0;
  }
  if (lane == 0) {
    sums[3 * warp] = samples;
    sums[3 * warp + 1] = loss;
    sums[3 * warp + 2] = correct;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 0; i < kEvaluationWarps; ++i) {
    task.sums->samples += sums[3 * i];
    task.sums->loss += sums[3 * i + 1];
    task.sums->correct += sums[3 * i + 2];
  }
}

// Of a sample, in shared memory where it fits and nobody reads it after the kernel.
std::size_t scratch_bytes(const objectives::ScratchNeeds& needs) {
  return static_cast<std::size_t>(needs.of_sample) * sizeof(double);
}
bool is_shared(const objectives::ScratchNeeds& needs) {
  return !needs.keeps_prepared && scratch_bytes(needs) <= kMostShared;
}

template <typename M>
void run_method(PllObjectiveTask task, const M& method, ObjectiveMetrics* per_sample,
                [[maybe_unused]] const std::function<void(double*, std::int64_t)>& share, Stream stream) {
  const objectives::ScratchNeeds needs = objectives::scratch_needs(method, task.views, task.classes);
  task.scratch_arrays = method.scratch_arrays(task.views);
  BatchScratch scratch;
  scratch.sums = reinterpret_cast<double*>(per_sample + task.batch);
  scratch.samples = scratch.sums + needs.sums;
  const int threads = (task.classes + kWarp - 1) / kWarp * kWarp;
  const double logits =
      static_cast<double>(task.views) * task.batch * task.classes * static_cast<double>(size_of(task.type));
  LaunchShape samples{{static_cast<unsigned>(task.batch), 1, 1}, threads < 256 ? threads : 256, 0, logits};
  if constexpr (objectives::rounds_of<M>() > 0) {
    double* sums = scratch.sums;
    for (int round = 0; round < M::rounds; ++round) {
      launch("pll_objective prepare", prepare<M>, samples, stream, task, method, round, scratch);
      const int count = method.round_sums(round, task.classes);
      const auto blocks = static_cast<unsigned>((count + kSumWarps - 1) / kSumWarps);
      launch("pll_objective sums", sum_terms<M>,
             LaunchShape{{blocks, 1, 1}, kSumWarps * kWarp, 0, 8.0 * count * task.batch}, stream, task,
             method, round, count, scratch, sums);
      if (share) share(sums, count);
      sums += count;
    }
  }
  samples.bytes = 2 * logits + static_cast<double>(task.batch) *
                                   (8.0 * task.classes + 2 * static_cast<double>(sizeof(ObjectiveMetrics)));
  if (is_shared(needs)) {
    scratch.samples = nullptr;
    samples.shared_bytes = scratch_bytes(needs);
  }
  launch("pll_objective", objective<M>, samples, stream, task, method, scratch, per_sample);
}

}  // namespace

std::size_t pll_objective_workspace(const PllObjectiveSpec& spec) {
  const objectives::ScratchNeeds needs = objectives::scratch_needs(spec);
  const bool in_memory = needs.side_by_side || !is_shared(needs);
  return static_cast<std::size_t>(spec.batch) *
             (sizeof(ObjectiveMetrics) + (in_memory ? scratch_bytes(needs) : 0)) +
         static_cast<std::size_t>(needs.sums) * sizeof(double);
}

std::int64_t pll_objective_sums(const PllObjectiveSpec& spec) {
  return objectives::scratch_needs(spec).sums;
}

void pll_objective(const PllObjectiveTask& task, const Method& method,
                   const std::function<void(double*, std::int64_t)>& share, Stream stream) {
  auto* const per_sample = static_cast<ObjectiveMetrics*>(task.workspace);
  std::visit([&](const auto& m) { run_method(task, m, per_sample, share, stream); }, method);
}

void cross_entropy(const CrossEntropyTask& task, DType type, Stream stream) {
  for_type(type, [&](auto element) {
    launch("cross_entropy", evaluate<decltype(element)>,
           LaunchShape{{1, 1, 1},
                       kEvaluationWarps * kWarp,
                       0,
                       static_cast<double>(task.rows) * task.classes * sizeof(element)},
           stream, task);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
