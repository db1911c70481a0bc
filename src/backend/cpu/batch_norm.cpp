#include "backend/cpu/batch_norm.h"

#include <algorithm>

#include "backend/cpu/batch_norm_parts.h"

namespace dpll::cpu {

std::size_t bn_workspace_bytes(const BnGeometry& geometry) {
  const std::int64_t count = parts_of_view(geometry, usual_part_rows(geometry.channels));
  return static_cast<std::size_t>(geometry.views * count * 2 * geometry.channels) * sizeof(double);
}

void view_stats(float* stats, float* y, const float* residual, const BnGeometry& geometry, void* workspace) {
  auto* parts = static_cast<double*>(workspace);
  each_part(geometry, [&](const Part& part, std::int64_t i) {
    stats_of_part(parts + i * 2 * geometry.channels, y + part.element,
                  residual == nullptr ? nullptr : residual + part.element, part.rows, geometry.channels);
  });
  combine_stats(stats, parts, usual_part_rows(geometry.channels), geometry);
}

void batch_norm_prepare(float* scale, float* shift, const BatchNorm& bn, const float* stats,
                        const BnGeometry& geometry) {
  const auto* gamma = bn.gamma.as<float>();
  const auto* beta = bn.beta.as<float>();
  auto* running_mean = bn.running_mean.as<float>();
  auto* running_var = bn.running_var.as<float>();
  const auto n = static_cast<double>(geometry.counted());
  const double unbiased = n / std::max(1.0, n - 1);
  for (int view = 0; view < geometry.views; ++view) {
    const std::int64_t at = static_cast<std::int64_t>(view) * geometry.channels;
    const float* mean = stats == nullptr ? running_mean : stats + 2 * at;
    const float* var = stats == nullptr ? running_var : stats + 2 * at + geometry.channels;
    for (int c = 0; c < geometry.channels; ++c) {
      const double factor = gamma[c] * inverse_sigma(var[c]);
      scale[at + c] = static_cast<float>(factor);
      shift[at + c] = static_cast<float>(beta[c] - mean[c] * factor);
      if (stats != nullptr) {
        running_mean[c] += static_cast<float>(kBatchNormMomentum * (mean[c] - running_mean[c]));
        running_var[c] += static_cast<float>(kBatchNormMomentum * (var[c] * unbiased - running_var[c]));
      }
    }
  }
}

void bn_relu_apply(float* a, const float* x, const float* scale, const float* shift,
                   const BnGeometry& geometry) {
  each_part(geometry, [&](const Part& part, std::int64_t) {
    const std::int64_t channel = std::int64_t{part.view} * geometry.channels;
    bn_relu_apply_to_part(a + part.element, x + part.element, scale + channel, shift + channel, part.rows,
                          geometry.channels);
  });
}

void bn_relu_backward_sums(float* sums, float* d_gamma, float* d_beta, const float* d_a, const float* x,
                           const float* stats, const float* scale, const float* shift,
                           const BnGeometry& geometry, void* workspace) {
  auto* parts = static_cast<double*>(workspace);
  each_part(geometry, [&](const Part& part, std::int64_t i) {
    const std::int64_t channel = std::int64_t{part.view} * geometry.channels;
    bn_relu_backward_sums_of_part(parts + i * 2 * geometry.channels, d_a + part.element, x + part.element,
                                  stats + 2 * channel, scale + channel, shift + channel, part.rows,
                                  geometry.channels);
  });
  combine_backward_sums(sums, d_gamma, d_beta, parts, usual_part_rows(geometry.channels), stats, geometry);
}

void bn_relu_backward_apply(float* d_x, Accumulate accumulate, const float* d_a, const float* x,
                            const float* stats, const float* scale, const float* shift, const float* sums,
                            const BnGeometry& geometry) {
  each_part(geometry, [&](const Part& part, std::int64_t) {
    const std::int64_t channel = std::int64_t{part.view} * geometry.channels;
    bn_relu_backward_apply_to_part(d_x + part.element, accumulate, d_a + part.element, x + part.element,
                                   stats + 2 * channel, scale + channel, shift + channel, sums + 2 * channel,
                                   geometry.counted(), part.rows, geometry.channels);
  });
}

}  // namespace dpll::cpu
