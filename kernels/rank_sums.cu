#include "rank_sums.h"

#include "launch.cuh"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256;

// A thread a channel of a view.
// Cost "merge_statistics" of a channel of a view of a rank: 8 bytes, 9 operations; in float64; and 8 bytes
// for each channel of a view.
__global__ void merge_kernel(MergeStatisticsCall call) {
  wait_for_previous_kernel();
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t of_rank = std::int64_t{call.views} * 2 * call.channels;
  if (at >= std::int64_t{call.views} * call.channels) return;
  const std::int64_t place = at / call.channels * 2 * call.channels + at % call.channels;
  double n = 0, mean = 0, m2 = 0;
  for (int rank = 0; rank < call.ranks; ++rank) {
    const std::int64_t begin = call.samples * rank / call.ranks, end = call.samples * (rank + 1) / call.ranks;
    const auto rows = static_cast<double>((end - begin) * call.pixels);
    const float* const of = call.all + rank * of_rank + place;
    const double its_mean = of[0], its_m2 = static_cast<double>(of[call.channels]) * rows;
    const double delta = rank == 0 ? 0 : its_mean - mean, share = rows / (n + rows);
    mean = rank == 0 ? its_mean : mean + delta * share;
    m2 += its_m2 + delta * delta * (n * share);
    n += rows;
  }
  call.stats[place] = static_cast<float>(mean);
  call.stats[place + call.channels] = static_cast<float>(m2 / n);
}

// Cost "sum_of_ranks" of a value of a rank: 4 bytes, 1 operation; in float64; and 4 bytes for each sum.
template <typename T>
__global__ void sum_kernel(T* to, const T* all, std::int64_t count, int ranks) {
  wait_for_previous_kernel();
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= count) return;
  double sum = static_cast<double>(all[at]);
  for (int rank = 1; rank < ranks; ++rank) sum += static_cast<double>(all[rank * count + at]);
  to[at] = static_cast<T>(sum);
}

template <typename T>
void launch_sum(T* to, const T* all, std::int64_t count, int ranks, Stream stream) {
  launch("sum_of_ranks", sum_kernel<T>,
         LaunchShape{{blocks_for(count, kThreads), 1, 1},
                     kThreads,
                     0,
                     static_cast<double>(count) * (ranks + 1) * static_cast<double>(sizeof(T))},
         stream, to, all, count, ranks);
}

}  // namespace

void merge_statistics(const MergeStatisticsCall& call, Stream stream) {
  const std::int64_t channels = std::int64_t{call.views} * call.channels;
  launch("merge_statistics", merge_kernel,
         LaunchShape{{blocks_for(channels, kThreads), 1, 1},
                     kThreads,
                     0,
                     8.0 * static_cast<double>(channels) * (call.ranks + 1)},
         stream, call);
}

void sum_of_ranks(float* to, const float* all, std::int64_t count, int ranks, Stream stream) {
  launch_sum(to, all, count, ranks, stream);
}
void sum_of_ranks(double* to, const double* all, std::int64_t count, int ranks, Stream stream) {
  launch_sum(to, all, count, ranks, stream);
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
