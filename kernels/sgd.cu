#include "sgd.h"

#include "channel_rows.cuh"
#include "dpll/core/host_device.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256, kVec = 4, kCheckedPerThread = 16, kMaxCheckBlocks = 1024;

struct Coefficients {
  float weight_decay, momentum, ema, rest;
  int nesterov;
};

__global__ void begin_count(UpdateHealth* health) {
  if (threadIdx.x == 0) health->nonfinite = 0;
}

__global__ void count_nonfinite(UpdateHealth* health, const float* values, std::int64_t elements) {
  unsigned long long found = 0;
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < elements; i += step) {
    found += fabsf(values[i]) <= 3.402823466e38F ? 0u : 1u;  // false for NaN
  }
  if (found > 0) atomicAdd(reinterpret_cast<unsigned long long*>(&health->nonfinite), found);
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

__global__ void update(SgdTask task, Coefficients k) {
  if (task.health->nonfinite != 0) {
    if (blockIdx.x == 0 && threadIdx.x == 0) task.health->skipped += 1;
    return;
  }
  const std::int64_t first = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kVec;
  if (first >= task.spec.elements) return;
  const std::int64_t left = task.spec.elements - first;
  const int count = left < kVec ? static_cast<int>(left) : kVec;
  const float loss_scale = task.step->loss_scale, learning_rate = task.step->learning_rate;
  float value[kVec] = {}, velocity[kVec] = {}, d_value[kVec] = {}, average[kVec] = {};
  if (count == kVec) {
    load(value, task.value + first);
    load(velocity, task.velocity + first);
    load(d_value, task.d_value + first);
    if (task.average != nullptr) load(average, task.average + first);
  } else {
    for (int i = 0; i < count; ++i) {
      value[i] = task.value[first + i];
      velocity[i] = task.velocity[first + i];
      d_value[i] = task.d_value[first + i];
      if (task.average != nullptr) average[i] = task.average[first + i];
    }
  }
  for (int i = 0; i < kVec; ++i) {
    update_one(value[i], velocity[i], d_value[i], loss_scale, learning_rate, k);
    average[i] = fmaf(k.rest, value[i], rounded_product(k.ema, average[i]));
  }
  if (count == kVec) {
    store(task.value + first, value);
    store(task.velocity + first, velocity);
    if (task.average != nullptr) store(task.average + first, average);
  } else {
    for (int i = 0; i < count; ++i) {
      task.value[first + i] = value[i];
      task.velocity[first + i] = velocity[i];
      if (task.average != nullptr) task.average[first + i] = average[i];
    }
  }
}

}  // namespace

void sgd(const SgdTask& task, Stream stream) {
  const std::int64_t elements = task.spec.elements;
  const unsigned check_blocks =
      std::min<unsigned>(blocks_for(elements, kThreads * kCheckedPerThread), kMaxCheckBlocks);
  const Coefficients k{static_cast<float>(task.spec.weight_decay), static_cast<float>(task.spec.momentum),
                       static_cast<float>(task.spec.ema), static_cast<float>(1 - task.spec.ema),
                       task.spec.nesterov ? 1 : 0};
  launch("sgd begin", begin_count, LaunchShape{{1, 1, 1}, kWarp, 0}, stream, task.health);
  launch("sgd check", count_nonfinite, LaunchShape{{check_blocks, 1, 1}, kThreads, 0}, stream, task.health,
         task.d_value, elements);
  launch("sgd update", update, LaunchShape{{blocks_for(elements, kThreads * kVec), 1, 1}, kThreads, 0},
         stream, task, k);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
