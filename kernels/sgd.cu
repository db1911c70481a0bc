#include "sgd.h"

#include "channel_rows.cuh"
#include "dpll/core/host_device.h"
#include "last_block.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256, kVec = 8;  // elements a thread: 16 bytes of 16-bit gradients
constexpr int kCheckedPerThread = 4 * kVec, kMaxCheckBlocks = 2048;

struct Coefficients {
  float weight_decay, momentum, ema, rest;
  int nesterov;
  float beta1, rest1, beta2, rest2, epsilon;
  int decoupled;
};

__device__ inline unsigned long long nonfinite_of(float value) {
  return fabsf(value) <= 3.402823466e38F ? 0u : 1u;  // false for NaN
}

template <typename T>
__device__ unsigned long long count_nonfinite(const T* values, std::int64_t elements) {
  unsigned long long found = 0;
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads * kVec;
  for (std::int64_t first = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kVec; first < elements;
       first += step) {
    if (first + kVec <= elements) {
      float value[kVec];
      load(value, values + first);
      for (int i = 0; i < kVec; ++i) found += nonfinite_of(value[i]);
    } else {
      for (std::int64_t i = first; i < elements; ++i) found += nonfinite_of(to_float(values[i]));
    }
  }
  return found;
}

// The block that is last to finish judges the step. Sums of integers do not depend on their order.
// Cost "sgd check" of a weight: S bytes, 2 operations; 4 bytes of another parameter.
template <typename W>
__global__ void check(SgdTask task) {
  wait_for_previous_kernel();
  SgdScratch& scratch = *task.scratch;
  const unsigned long long found = count_nonfinite(static_cast<const W*>(task.d_weight), task.spec.weights) +
                                   count_nonfinite(task.d_value, task.spec.elements - task.spec.weights);
  if (found > 0) atomicAdd(&scratch.nonfinite, found);
  if (!is_last_block(&scratch.blocks_done, gridDim.x) || threadIdx.x != 0) return;
  const unsigned long long all = atomicAdd(&scratch.nonfinite, 0ull);  // as the other blocks left it
  scratch.loss_scale = task.step->loss_scale;
  scratch.update =
      judge_gradients(*task.health, task.step->loss_scale, task.spec.dynamic_loss_scale, all) ? 1 : 0;
  const AdamCorrection correction = adam_correction(task.spec, task.health->updates);
  scratch.first_correction = static_cast<float>(correction.first);
  scratch.second_root = static_cast<float>(correction.second_root);
  scratch.nonfinite = 0;
}

// Rounds as PyTorch and the CPU backend do: x + alpha * y is one fused multiply-add, momentum * velocity is
// rounded before g is added.
__device__ void update_one(float& value, float& velocity, float d_value, float loss_scale,
                           float learning_rate, const Coefficients& k) {
  const float g = fmaf(k.weight_decay, value, d_value / loss_scale);
  velocity = rounded_sum(rounded_product(k.momentum, velocity), g);
  const float direction = k.nesterov != 0 ? fmaf(k.momentum, velocity, g) : velocity;
  value = fmaf(-learning_rate, direction, value);
}

__device__ void update_one_adam(float& value, float& velocity, float& square, float d_value,
                                const SgdScratch& step, float learning_rate, const Coefficients& k) {
  float g = d_value / step.loss_scale;
  if (k.decoupled != 0) {
    value = rounded_product(value, 1 - learning_rate * k.weight_decay);
  } else {
    g = fmaf(k.weight_decay, value, g);
  }
  velocity = fmaf(k.rest1, g - velocity, velocity);
  square = rounded_sum(rounded_product(k.beta2, square), rounded_product(rounded_product(k.rest2, g), g));
  const float root = sqrtf(square) / step.second_root + k.epsilon;
  value = value - rounded_product(learning_rate / step.first_correction, velocity) / root;
}

__device__ float updated_average(float average, float value, const Coefficients& k) {
  return fmaf(k.rest, value, rounded_product(k.ema, average));
}

// kVec neighbouring elements on one side of the border between weights and other parameters, aligned.
template <typename W>
__device__ void update_vector(const SgdTask& task, const Coefficients& k, std::int64_t first) {
  const std::int64_t weights = task.spec.weights;
  const bool is_weight = first < weights;
  const float loss_scale = task.scratch->loss_scale, learning_rate = task.step->learning_rate;
  float value[kVec], velocity[kVec], d_value[kVec];
  load(value, task.value + first);
  load(velocity, task.velocity + first);
  if (is_weight) {
    load(d_value, static_cast<const W*>(task.d_weight) + first);
  } else {
    load(d_value, task.d_value + (first - weights));
  }
  if (task.square != nullptr) {
    float square[kVec];
    load(square, task.square + first);
    for (int i = 0; i < kVec; ++i) {
      update_one_adam(value[i], velocity[i], square[i], d_value[i], *task.scratch, learning_rate, k);
    }
    store(task.square + first, square);
  } else {
    for (int i = 0; i < kVec; ++i) {
      update_one(value[i], velocity[i], d_value[i], loss_scale, learning_rate, k);
    }
  }
  store(task.value + first, value);
  store(task.velocity + first, velocity);
  if (is_weight && task.weight != nullptr) store(static_cast<W*>(task.weight) + first, value);
  if (task.average == nullptr) return;
  float average[kVec];
  load(average, task.average + first);
  for (int i = 0; i < kVec; ++i) average[i] = updated_average(average[i], value[i], k);
  store(task.average + first, average);
  if (is_weight && task.average_weight != nullptr) {
    store(static_cast<W*>(task.average_weight) + first, average);
  }
}

template <typename W>
__device__ void update_element(const SgdTask& task, const Coefficients& k, std::int64_t at) {
  const std::int64_t weights = task.spec.weights;
  const float d_value =
      at < weights ? to_float(static_cast<const W*>(task.d_weight)[at]) : task.d_value[at - weights];
  float value = task.value[at], velocity = task.velocity[at];
  if (task.square != nullptr) {
    update_one_adam(value, velocity, task.square[at], d_value, *task.scratch, task.step->learning_rate, k);
  } else {
    update_one(value, velocity, d_value, task.scratch->loss_scale, task.step->learning_rate, k);
  }
  task.value[at] = value;
  task.velocity[at] = velocity;
  if (at < weights && task.weight != nullptr) static_cast<W*>(task.weight)[at] = from_float<W>(value);
  if (task.average == nullptr) return;
  const float average = updated_average(task.average[at], value, k);
  task.average[at] = average;
  if (at < weights && task.average_weight != nullptr) {
    static_cast<W*>(task.average_weight)[at] = from_float<W>(average);
  }
}

// Cost "sgd update" of a weight: 16 + 2 S bytes, 8 operations; 20 bytes of another parameter or in float32;
// an average adds 8 bytes and 3 operations, a copy of it S bytes, Adam 8 bytes and 10 operations.
template <typename W>
__global__ void update(SgdTask task, Coefficients k) {
  wait_for_previous_kernel();
  if (task.scratch->update == 0) return;
  const std::int64_t first = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kVec;
  if (first >= task.spec.elements) return;
  const std::int64_t left = task.spec.elements - first, weights = task.spec.weights;
  if (left >= kVec && (first + kVec <= weights || (first >= weights && weights % kVec == 0))) {
    update_vector<W>(task, k, first);
    return;
  }
  const int count = left < kVec ? static_cast<int>(left) : kVec;
  for (int i = 0; i < count; ++i) update_element<W>(task, k, first + i);
}

}  // namespace

void sgd(const SgdTask& task, DType weight_type, Stream stream) {
  const std::int64_t elements = task.spec.elements;
  const unsigned check_blocks =
      std::min<unsigned>(blocks_for(elements, kThreads * kCheckedPerThread), kMaxCheckBlocks);
  const Coefficients k{static_cast<float>(task.spec.weight_decay),
                       static_cast<float>(task.spec.momentum),
                       static_cast<float>(task.spec.ema),
                       static_cast<float>(1 - task.spec.ema),
                       task.spec.nesterov ? 1 : 0,
                       static_cast<float>(task.spec.beta1),
                       static_cast<float>(1 - task.spec.beta1),
                       static_cast<float>(task.spec.beta2),
                       static_cast<float>(1 - task.spec.beta2),
                       static_cast<float>(task.spec.epsilon),
                       task.spec.kind == OptimiserKind::adamw ? 1 : 0};
  for_type(weight_type, [&](auto element) {
    using W = decltype(element);
    const auto weights = static_cast<double>(task.spec.weights), all = static_cast<double>(elements),
               checked = weights * sizeof(W) + (all - weights) * sizeof(float);
    launch("sgd check", check<W>, LaunchShape{{check_blocks, 1, 1}, kThreads, 0, checked}, stream, task);
    const double floats = 4.0 + (task.average != nullptr ? 2 : 0) + (task.square != nullptr ? 2 : 0);
    const double copies = (task.weight != nullptr ? 1 : 0) + (task.average_weight != nullptr ? 1 : 0);
    launch("sgd update", update<W>,
           LaunchShape{{blocks_for(elements, kThreads * kVec), 1, 1},
                       kThreads,
                       0,
                       checked + copies * weights * sizeof(W) + floats * sizeof(float) * all},
           stream, task, k);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
