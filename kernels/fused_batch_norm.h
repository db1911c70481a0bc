// What lies around convolutions that a library fuses with batch norm (see convolution.h): the vectors that
// they take, and what is left to do with the sums that they give. All of them are small beside a convolution,
// but for batch_norm_backward's pass over x, to which view_sums leads.
#pragma once

#include <cstdint>

#include "batch_norm.h"
#include "view_rows.h"

namespace dpll::DPLL_CUDA_NAMESPACE {

struct NormVectorsCall {
  DType type = DType::f32;  // of scale and bias
  ViewRows shape;           // of x
  BatchNormParameters bn;   // with stats; running_mean null: the running statistics stay as they are
  // [V, C]: batch norm and ReLU as relu(scale x + bias). Rounded to `type`; in 16 bits that is an error of z
  // of the size of |mean| / deviation roundings.
  void *scale = nullptr, *bias = nullptr;
  float* inverse_deviation = nullptr;  // [V, C]
};
// Updates the running statistics, as batch_norm_forward does.
void norm_vectors(const NormVectorsCall& call, Stream stream);

// stats [V, 2, C] = mean and biased variance from sum and squares [V, C] over `shape.rows`
// values each. The variance is E[y^2] - E[y]^2 of float32 sums: its error is about 2^-24 (mean^2 + variance)
// times the growth of the library's sums, so it is good while |mean| / deviation is below some hundred.
void statistics_from_sums(float* stats, const float* sum, const float* squares, const ViewRows& shape,
                          Stream stream);

// to [elements] = the sum of `parts` arrays that lie one after the other, `stride` elements apart: added in
// float32 in their order, rounded once.
void sum_parts(void* to, const void* values, DType type, std::int64_t elements, std::int64_t stride,
               int parts, Stream stream);

}  // namespace dpll::DPLL_CUDA_NAMESPACE
