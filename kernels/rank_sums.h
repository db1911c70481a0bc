// What several ranks have gathered of each other, merged in rank order, so that all of them have the same
// bits.
#pragma once

#include <cstdint>

#include "view_rows.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// stats [V, 2, C] = mean and biased variance of each view over the rows of all ranks, from those of each,
// all [ranks, V, 2, C], by the formula of Chan, Golub and LeVeque (1983). Of `samples` samples rank r has
// those from samples r / ranks on (share_begin() of dpll/ranks.h), each with `pixels` rows.
struct MergeStatisticsCall {
  float* stats = nullptr;
  const float* all = nullptr;
  int ranks = 1;
  int views = 1, channels = 1;
  std::int64_t samples = 1, pixels = 1;
};
void merge_statistics(const MergeStatisticsCall& call, Stream stream);

// to [count] = the sum of all [ranks, count], added in double.
void sum_of_ranks(float* to, const float* all, std::int64_t count, int ranks, Stream stream);
void sum_of_ranks(double* to, const double* all, std::int64_t count, int ranks, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
