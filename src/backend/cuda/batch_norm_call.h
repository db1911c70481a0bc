// From the operations' structs to those of kernels/batch_norm.h.
#pragma once

#include "backend/cuda/cuda_ops.h"
#include "batch_norm.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

// `stats` undefined: evaluation. rows_of_ranks: of BatchNormParameters.
inline BatchNormParameters parameters_of(const BatchNorm& bn, const Tensor& stats,
                                         std::int64_t rows_of_ranks) {
  return {floats(bn.gamma),       floats(bn.beta), floats(bn.running_mean),
          floats(bn.running_var), floats(stats),   rows_of_ranks};
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
