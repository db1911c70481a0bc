#include "feature_views.h"

#include "augment/feature_draw.h"
#include "launch.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256;

// Cost "feature_views" of a feature of a view: 4 + S bytes, 9 operations; with noise; a Philox block for two
// features.
template <typename T>
__global__ void feature_views_kernel(FeatureViewsTask task) {
  wait_for_previous_kernel();
  const int pairs = (task.features + 1) / 2;
  const std::int64_t thread = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t row = thread / pairs;
  if (row >= std::int64_t{task.views} * task.batch) return;
  const int pair = static_cast<int>(thread % pairs), d = 2 * pair;
  const std::int64_t position = std::int64_t{task.step->first} + task.ahead + row % task.batch,
                     view = row / task.batch;
  const std::int64_t sample = task.order == nullptr ? position : task.order[position];
  const float* const x = task.features_table + sample * task.features;
  const bool both = d + 1 < task.features;
  float values[2] = {x[d], both ? x[d + 1] : 0.0F};
  draw_feature_pair(values, static_cast<std::uint32_t>(pair), view == 0 ? task.weak : task.strong, *task.step,
                    static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(view));
  T* const out = static_cast<T*>(task.out) + row * task.features;
  out[d] = from_float<T>(values[0]);
  if (both) out[d + 1] = from_float<T>(values[1]);
}

}  // namespace

void feature_views(const FeatureViewsTask& task, DType type, Stream stream) {
  const std::int64_t threads = std::int64_t{task.views} * task.batch * ((task.features + 1) / 2);
  for_type(type, [&](auto element) {
    using T = decltype(element);
    launch("feature_views", feature_views_kernel<T>,
           LaunchShape{{blocks_for(threads, kThreads), 1, 1},
                       kThreads,
                       0,
                       static_cast<double>(threads) * 2 * (sizeof(float) + sizeof(T))},
           stream, task);
  });
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
