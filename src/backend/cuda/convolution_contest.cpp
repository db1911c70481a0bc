#include "backend/cuda/convolution_contest.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "backend/cuda/contest_tensors.h"
#include "backend/cuda/large_means.h"
#include "backend/cuda/recomputed.h"
#include "fused_batch_norm.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
double operations_of(const ConvolutionShape& s) {
  return 2.0 * static_cast<double>(s.y_elements()) * s.kernel * s.kernel * s.in_channels;
}

Contest convolution_contest(Runtime& runtime, const ConvolutionShape& s, ConvolutionPass pass,
                            const std::vector<ConvolutionOffer>& offers, bool tf32) {
  Contest contest;
  contest.operations = operations_of(s);
  ContestTensors make(runtime, contest);
  const double taps = s.kernel * s.kernel, rows = static_cast<double>(s.y_elements()) / s.out_channels;
  constexpr double rms = kUniformRms;
  const double weight_scale = 1 / std::sqrt(taps * s.in_channels);
  const bool activated = pass == ConvolutionPass::activated_forward_statistics ||
                         pass == ConvolutionPass::activated_weight_gradient;
  // 16-bit factors are exact, but for an activation, which is a rounding of its own.
  const double of_factors = activated                      ? 2 * unit_roundoff(s.type)
                            : s.type == DType::f32 && tf32 ? 0x1p-11
                                                           : 0;
  ConvolutionTensors t;
  const NormVectors norm(s.in_channels, 7);
  if (activated) {
    t.scale = make.rounded_vector(norm.gamma, s.type);
    t.bias = make.rounded_vector(norm.beta, s.type);
  }
  // What the host reads of x: the activation, before it is rounded.
  const auto factor_of = [&](const void* x) -> ElementReader {
    auto values = std::make_shared<const HostValues>(make.on_host(x, s.type, s.x_elements()));
    if (!activated) return [values](std::int64_t i) { return (*values)[i]; };
    auto scale = std::make_shared<const HostValues>(make.on_host(t.scale, s.type, s.in_channels));
    auto bias = std::make_shared<const HostValues>(make.on_host(t.bias, s.type, s.in_channels));
    return [=, channels = s.in_channels](std::int64_t i) {
      return std::max((*values)[i] * (*scale)[i % channels] + (*bias)[i % channels], 0.0);
    };
  };
  const auto reader_of = [&](const void* data, std::int64_t elements) -> ElementReader {
    auto values = std::make_shared<const HostValues>(make.on_host(data, s.type, elements));
    return [values](std::int64_t i) { return (*values)[i]; };
  };
  switch (pass) {
    case ConvolutionPass::forward:
    case ConvolutionPass::forward_statistics:
    case ConvolutionPass::activated_forward_statistics: {
      std::function<void()> draw_x;
      t.x = make.random(s.type, s.x_elements(), 1, 0, &draw_x);
      t.weight = make.random(s.type, s.weight_elements(), weight_scale);
      const Bound of_y =
          bound_of_sum(s.type, taps * s.in_channels, (activated ? 1 : rms) * rms * weight_scale, of_factors);
      t.y = make.output("y", s.type, s.y_elements(), of_y);
      make.known([=, x = factor_of(t.x), weight = reader_of(t.weight, s.weight_elements())](std::int64_t i) {
        return recomputed_element(s, ConvolutionPass::forward, i, x, weight, {});
      });
      if (pass == ConvolutionPass::forward) break;
      // Of y of size about 1; every summand is off by its own rounding at most.
      const double of_rounding = 2 * unit_roundoff(s.type) * std::sqrt(rows) + 0x1p-23 * rows;
      const Bound of_sums = {0, 4 * of_rounding + of_y.absolute * std::sqrt(rows)};
      t.sum = static_cast<float*>(make.output("sum", DType::f32, s.out_channels, of_sums));
      t.squares = static_cast<float*>(
          make.output("squares", DType::f32, s.out_channels, {8 * unit_roundoff(s.type), of_sums.absolute}));
      make.known_sums(t.y, s.type, static_cast<std::int64_t>(rows), s.out_channels,
                      [](std::int64_t, double value) { return value; });
      const ViewRows of_y_rows{1, static_cast<std::int64_t>(rows), s.out_channels};
      auto* const stats =
          static_cast<float*>(make.memory(2 * static_cast<std::size_t>(s.out_channels) * sizeof(float)));
      // Activations scatter by about 0.4, relu(x) by 0.3; the weights' squares sum up to 1/3.
      LargeMeans means = {.shape = s,
                          .weight = t.weight,
                          .y = t.y,
                          .deviation = (activated ? 0.4 : 0.3) * rms,
                          .stats = stats,
                          .finish_stats = [=, &runtime] {
                            statistics_from_sums(stats, t.sum, t.squares, of_y_rows, runtime.stream());
                          }};
      if (activated) {
        offset_by_factors(runtime, make, const_cast<void*>(t.scale), const_cast<void*>(t.bias), s.type,
                          means);
      } else {
        offset_by_input(runtime, make, t.x, draw_x, means);
      }
      examine_large_means(runtime, contest, make, means);
      break;
    }
    case ConvolutionPass::data_gradient:
      t.y = make.random(s.type, s.y_elements(), 1);
      t.weight = make.random(s.type, s.weight_elements(), weight_scale);
      t.x = make.output("d_x", s.type, s.x_elements(),
                        bound_of_sum(s.type, taps * s.out_channels, rms * rms * weight_scale, of_factors));
      make.known([=, weight = reader_of(t.weight, s.weight_elements()),
                  y = reader_of(t.y, s.y_elements())](std::int64_t i) {
        return recomputed_element(s, ConvolutionPass::data_gradient, i, {}, weight, y);
      });
      break;
    case ConvolutionPass::weight_gradient:
    case ConvolutionPass::activated_weight_gradient:
      t.x = make.random(s.type, s.x_elements(), 1);
      t.y = make.random(s.type, s.y_elements(), 1);
      t.weight = make.output("d_weight", s.type, s.weight_elements(),
                             bound_of_sum(s.type, rows, (activated ? 1 : rms) * rms, of_factors));
      make.known([=, x = factor_of(t.x), y = reader_of(t.y, s.y_elements())](std::int64_t i) {
        return recomputed_element(s, ConvolutionPass::weight_gradient, i, x, {}, y);
      });
      break;
    case ConvolutionPass::data_gradient_reductions: {
      t.x = make.random(s.type, s.x_elements(), 2, kQuantum);
      t.y = make.random(s.type, s.y_elements(), 1);
      t.weight = make.random(s.type, s.weight_elements(), weight_scale);
      t.mean = make.vector(norm.mean);
      t.inverse_deviation = make.vector(norm.inverse_deviation);
      t.gamma = make.vector(norm.gamma);
      t.beta = make.vector(norm.beta);
      const Bound of_d_z = bound_of_sum(s.type, taps * s.out_channels, rms * rms * weight_scale, of_factors);
      t.d_z = make.output("d_z", s.type, s.x_elements(), of_d_z);
      const ElementReader x = reader_of(t.x, s.x_elements());
      const auto x_hat = [=](std::int64_t i) {
        const auto c = static_cast<std::size_t>(i % s.in_channels);
        return (x(i) - static_cast<double>(norm.mean[c])) * static_cast<double>(norm.inverse_deviation[c]);
      };
      make.known([=, weight = reader_of(t.weight, s.weight_elements()),
                  y = reader_of(t.y, s.y_elements())](std::int64_t i) {
        const auto c = static_cast<std::size_t>(i % s.in_channels);
        const double z = static_cast<double>(norm.gamma[c]) * x_hat(i) + static_cast<double>(norm.beta[c]);
        return z > 0 ? recomputed_element(s, ConvolutionPass::data_gradient, i, {}, weight, y) : 0;
      });
      const double values = static_cast<double>(s.x_elements()) / s.in_channels;
      const Bound of_sums = {0, 16 * (2 * unit_roundoff(s.type) * std::sqrt(values) + 0x1p-23 * values) +
                                    4 * of_d_z.absolute * std::sqrt(values)};
      t.d_beta = static_cast<float*>(make.output("d_beta", DType::f32, s.in_channels, of_sums));
      t.d_gamma = static_cast<float*>(make.output("d_gamma", DType::f32, s.in_channels, of_sums));
      make.known_sums(t.d_z, s.type, s.x_elements() / s.in_channels, s.in_channels,
                      [=](std::int64_t i, double) { return x_hat(i); });
      t.unused =
          static_cast<float*>(make.memory(3 * static_cast<std::size_t>(s.in_channels) * sizeof(float)));
      break;
    }
  }
  for (const ConvolutionOffer& offer : offers) {
    contest.contenders.push_back(
        {offer.name, [&runtime, offer, t]() -> std::function<void()> {
           const std::shared_ptr<const ConvolutionWay> way = offer.make();
           if (way == nullptr) return {};
           const auto workspace = std::make_shared<ScratchMemory>(runtime, way->workspace_bytes());
           return [=, &runtime] { way->run(t, workspace->data(), runtime.stream()); };
         }});
  }
  return contest;
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
