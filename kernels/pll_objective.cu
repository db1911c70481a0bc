// Arithmetic is in double: rows are short, and what is stored is then float32's one rounding away from the
// exact result.
//
// Every thread keeps to its own classes k = threadIdx.x, + blockDim.x, ...; only sums and tops cross threads.
#include "pll_objective.h"

#include <cmath>

#include "launch.cuh"
#include "reduce.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr double kLargest = 1.7976931348623157e308;

__device__ inline bool is_finite(double x) {
  return fabs(x) <= kLargest;
}

__device__ inline bool contains(const std::uint64_t* candidates, int label) {
  return ((candidates[label / 64] >> (label % 64)) & 1u) != 0;
}

__device__ inline std::int64_t sample_of(const StepState& step, const std::int32_t* order, std::int64_t row) {
  const std::int64_t position = std::int64_t{step.first} + row;
  return order == nullptr ? position : order[position];
}

// A sample's scratch memory.
struct Scratch {
  double* probability;  // [V, classes]
  double* log_sum;      // [classes]: sum over views of the log-probability
  double* slope;        // [classes]: of the supervised term
  double* weight;       // [classes]: unnormalised new target
};

std::int64_t scratch_elements(const PllObjectiveSpec& spec) {
  return (std::int64_t{spec.views} + 3) * spec.classes;
}

// Of one view's logits. rest: 1 - p_top as the sum of the others, so without cancellation.
struct Softmax {
  int top;
  double rest;
};

template <typename T>
__device__ Softmax softmax(double* p, double* log_sum, const T* logits, int classes) {
  double broken = 0;
  Top top{-kLargest, 0};
  const int own = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x);
  for (int k = own; k < classes; k += step) {
    const double z = static_cast<double>(to_float(logits[k]));
    broken += is_finite(z) ? 0 : 1;
    top = larger(top, {z, k});
  }
  broken = block_sum(broken);
  top = block_top(top);
  // A NaN or infinite logit makes all of p and log_sum NaN.
  const double largest = broken > 0 ? static_cast<double>(NAN) : top.value;
  double others = 0;
  for (int k = own; k < classes; k += step) {
    p[k] = exp(static_cast<double>(to_float(logits[k])) - largest);
    if (k != top.index) others += p[k];
  }
  others = block_sum(others);
  const double scale = 1 / (1 + others), log_scale = log1p(others);
  for (int k = own; k < classes; k += step) {
    p[k] *= scale;
    log_sum[k] += static_cast<double>(to_float(logits[k])) - largest - log_scale;
  }
  return {top.index, others * scale};
}

// L = -sum_{j not in S} log(c - p_j), and slope = dL/dlogits: with g_j = 1 / (c - p_j) outside of S and 0
// inside, dL/dz_k = p_k (g_k - sum_j g_j p_j). At the top class when it is no candidate p -> 1 and g -> 1 /
// (c - 1), so there c - p is (c - 1) + rest, and g_top - sum_j g_j p_j is g_top rest - the sum over the
// others.
__device__ double supervised_term(double* slope, const double* p, const Softmax& weak,
                                  const std::uint64_t* candidates, double c_minus_1, int classes) {
  double loss = 0, others = 0;
  const int own = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x);
  for (int k = own; k < classes; k += step) {
    slope[k] = 0;
    if (contains(candidates, k)) continue;
    const double gap = c_minus_1 + (k == weak.top ? weak.rest : 1 - p[k]);
    loss -= log(gap);
    slope[k] = 1 / gap;
    if (k != weak.top) others += slope[k] * p[k];
  }
  loss = block_sum(loss);
  others = block_sum(others);
  const double g_top = contains(candidates, weak.top) ? 0 : 1 / (c_minus_1 + weak.rest);
  const double p_top = 1 - weak.rest;
  const double all = others + g_top * p_top;
  for (int k = own; k < classes; k += step) {
    slope[k] = k == weak.top ? p[k] * (g_top * weak.rest - others) : p[k] * (slope[k] - all);
  }
  return loss;
}

// Cost "pll_objective" of a logit: 2 S + 8 / V bytes, 12 + 25 / V operations; in float64; V views share a
// target row.
template <typename T>
__global__ void objective(PllObjectiveTask task, double c_minus_1, double* scratch_memory,
                          ObjectiveMetrics* per_sample) {
  const int classes = task.spec.classes, views = task.spec.views, batch = task.spec.batch;
  const int own = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x);
  const std::int64_t row = blockIdx.x;
  const StepState& state = *task.step;
  const std::int64_t sample = sample_of(state, task.order, row);
  float* const target = task.targets + sample * classes;
  const std::uint64_t* const candidates = task.candidates + sample * ((classes + 63) / 64);
  Scratch scratch{};
  scratch.probability = scratch_memory + row * (std::int64_t{views} + 3) * classes;
  scratch.log_sum = scratch.probability + std::int64_t{views} * classes;
  scratch.slope = scratch.log_sum + classes;
  scratch.weight = scratch.slope + classes;

  for (int k = own; k < classes; k += step) scratch.log_sum[k] = 0;
  Softmax weak{};
  for (int v = 0; v < views; ++v) {
    const Softmax view =
        softmax(scratch.probability + std::int64_t{v} * classes, scratch.log_sum,
                static_cast<const T*>(task.logits) + (std::int64_t{v} * batch + row) * classes, classes);
    if (v == 0) weak = view;
  }
  const double supervised =
      supervised_term(scratch.slope, scratch.probability, weak, candidates, c_minus_1, classes);

  double mass = 0, divergence = 0;
  for (int k = own; k < classes; k += step) {
    const auto t = static_cast<double>(target[k]);
    mass += t;
    if (t != 0) divergence += views * (t * log(t)) - t * scratch.log_sum[k];
  }
  mass = block_sum(mass);
  const double consistency = block_sum(divergence);

  // d KL(t || p) / d logits = p * sum(t) - t
  const double supervised_scale = static_cast<double>(state.loss_scale) / batch;
  const double consistency_scale = static_cast<double>(state.lambda) * supervised_scale;
  for (int v = 0; v < views; ++v) {
    const double* const p = scratch.probability + std::int64_t{v} * classes;
    T* const d = static_cast<T*>(task.d_logits) + (std::int64_t{v} * batch + row) * classes;
    for (int k = own; k < classes; k += step) {
      const double slope = v == 0 ? supervised_scale * scratch.slope[k] : 0;
      const double gradient = consistency_scale * (p[k] * mass - static_cast<double>(target[k])) + slope;
      d[k] = from_float<T>(static_cast<float>(gradient));
    }
  }

  // New target: softmax over the candidates of the mean log-probability.
  Top largest{-kLargest, 0}, old_top{-kLargest, 0};
  for (int k = own; k < classes; k += step) {
    if (contains(candidates, k)) largest = larger(largest, {scratch.log_sum[k], k});
    old_top = larger(old_top, {static_cast<double>(target[k]), k});
  }
  largest = block_top(largest);
  old_top = block_top(old_top);
  double total = 0, weighted = 0;
  for (int k = own; k < classes; k += step) {
    scratch.weight[k] = 0;
    if (!contains(candidates, k)) continue;
    const double exponent = (scratch.log_sum[k] - largest.value) / views;
    scratch.weight[k] = exp(exponent);
    total += scratch.weight[k];
    weighted += scratch.weight[k] * exponent;
  }
  total = block_sum(total);
  weighted = block_sum(weighted);
  const double entropy = log(total) - weighted / total;
  const double loss = static_cast<double>(state.lambda) * consistency + supervised;
  const bool finite = is_finite(loss) && is_finite(entropy);  // the same in all threads

  Top new_top{-kLargest, 0};
  if (finite) {
    for (int k = own; k < classes; k += step) {
      target[k] = static_cast<float>(scratch.weight[k] / total);
      new_top = larger(new_top, {static_cast<double>(target[k]), k});
    }
  }
  new_top = block_top(new_top);
  if (own != 0) return;
  ObjectiveMetrics metrics;
  metrics.samples = 1;
  if (!finite) {
    metrics.nonfinite = 1;
    per_sample[row] = metrics;
    return;
  }
  metrics.total = loss;
  metrics.supervised = supervised;
  metrics.consistency = consistency;
  metrics.covered = contains(candidates, weak.top) ? 1 : 0;
  metrics.target_entropy = entropy;
  metrics.target_max = new_top.value;
  metrics.target_changed = new_top.index != old_top.index ? 1 : 0;
  const std::int32_t label = task.labels == nullptr ? -1 : task.labels[sample];
  if (label >= 0) {
    metrics.labelled = 1;
    metrics.train_correct = weak.top == label ? 1 : 0;
    metrics.pseudo_correct = new_top.index == label ? 1 : 0;
  }
  per_sample[row] = metrics;
}

// A thread a field.
// Cost "pll_objective metrics" of a metric of a sample: 8 bytes, 1 operation; in float64.
__global__ void sum_metrics(double* last, double* total, const double* per_sample, int batch) {
  const int field = static_cast<int>(threadIdx.x);
  if (field >= kObjectiveMetricsFields) return;
  double sum = 0;
  for (int row = 0; row < batch; ++row) sum += per_sample[row * kObjectiveMetricsFields + field];
  last[field] = sum;
  total[field] += sum;
}

constexpr int kEvaluationWarps = 16;

// Cost "cross_entropy" of a logit: S bytes, 4 operations; in float64.
template <typename T>
__global__ void evaluate(CrossEntropyTask task) {
  DPLL_SHARED(double, sums, 3 * kEvaluationWarps);
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  double samples = 0, loss = 0, correct = 0;
  for (std::int64_t row = warp; row < task.rows; row += kEvaluationWarps) {
    const T* const logits = static_cast<const T*>(task.logits) + row * task.classes;
    Top top{-kLargest, task.classes};
    for (int k = lane; k < task.classes; k += kWarp) {
      top = larger(top, {static_cast<double>(to_float(logits[k])), k});
    }
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      const double value = __shfl_xor_sync(kFullMask, top.value, mask);
      const int index = __shfl_xor_sync(kFullMask, top.index, mask);
      top = larger(top, {value, index});
    }
    if (top.index == task.classes) top.index = 0;  // nothing but NaN
    const auto largest = static_cast<double>(to_float(logits[top.index]));
    double others = 0;
    for (int k = lane; k < task.classes; k += kWarp) {
      if (k != top.index) others += exp(static_cast<double>(to_float(logits[k])) - largest);
    }
    others = warp_reduce(others, [](double a, double b) { return a + b; });
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

}  // namespace

std::size_t pll_objective_workspace(const PllObjectiveSpec& spec) {
  return static_cast<std::size_t>(spec.batch) *
         (sizeof(ObjectiveMetrics) + static_cast<std::size_t>(scratch_elements(spec)) * sizeof(double));
}

void pll_objective(const PllObjectiveTask& task, DType type, Stream stream) {
  auto* const per_sample = static_cast<ObjectiveMetrics*>(task.workspace);
  auto* const scratch = reinterpret_cast<double*>(per_sample + task.spec.batch);
  const float c =
      task.spec.variant == ObjectiveVariant::article ? static_cast<float>(1 + 1e-6) : 1 + 0x1p-23F;
  const double c_minus_1 = static_cast<double>(c) - 1;
  const int threads = (task.spec.classes + kWarp - 1) / kWarp * kWarp;
  const LaunchShape shape{{static_cast<unsigned>(task.spec.batch), 1, 1}, threads < 256 ? threads : 256, 0};
  for_type(type, [&](auto element) {
    launch("pll_objective", objective<decltype(element)>, shape, stream, task, c_minus_1, scratch,
           per_sample);
  });
  launch("pll_objective metrics", sum_metrics, LaunchShape{{1, 1, 1}, kWarp, 0}, stream,
         reinterpret_cast<double*>(task.last), reinterpret_cast<double*>(task.total),
         reinterpret_cast<const double*>(per_sample), task.spec.batch);
}

void cross_entropy(const CrossEntropyTask& task, DType type, Stream stream) {
  for_type(type, [&](auto element) {
    launch("cross_entropy", evaluate<decltype(element)>, LaunchShape{{1, 1, 1}, kEvaluationWarps * kWarp, 0},
           stream, task);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
