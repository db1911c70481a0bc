#include "backend/cuda/shared_batch.h"

#include "backend/cuda/collectives.h"
#include "rank_sums.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

Collectives& SharedBatch::collectives() const {
  DPLL_CHECK(context_.collectives != nullptr && *context_.collectives != nullptr,
             "the ranks of a shared batch have not met");
  return **context_.collectives;
}

std::size_t SharedBatch::workspace_bytes(std::int64_t values, std::size_t value_bytes) const {
  return *this ? static_cast<std::size_t>(collectives().size() * values) * value_bytes : 0;
}

void SharedBatch::merge(float* stats, int views, int channels, std::int64_t pixels, void* workspace) const {
  if (!*this) return;
  const std::size_t bytes =
      static_cast<std::size_t>(views) * 2 * static_cast<std::size_t>(channels) * sizeof(float);
  collectives().all_gather(workspace, stats, bytes, context_.stream());
  merge_statistics({.stats = stats,
                    .all = static_cast<const float*>(workspace),
                    .ranks = collectives().size(),
                    .views = views,
                    .channels = channels,
                    .samples = share_.total,
                    .pixels = pixels},
                   context_.stream());
}

ShareSums SharedBatch::sums(void* workspace) const {
  if (!*this) return {};
  return [this, workspace](float* sums, std::int64_t count) {
    collectives().all_gather(workspace, sums, static_cast<std::size_t>(count) * sizeof(float),
                             context_.stream());
    sum_of_ranks(sums, static_cast<const float*>(workspace), count, collectives().size(), context_.stream());
  };
}

std::function<void(double*, std::int64_t)> SharedBatch::double_sums(void* workspace) const {
  if (!*this) return {};
  return [this, workspace](double* sums, std::int64_t count) {
    collectives().all_gather(workspace, sums, static_cast<std::size_t>(count) * sizeof(double),
                             context_.stream());
    sum_of_ranks(sums, static_cast<const double*>(workspace), count, collectives().size(), context_.stream());
  };
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
