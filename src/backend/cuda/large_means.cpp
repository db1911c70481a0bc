#include "backend/cuda/large_means.h"

#include <cmath>
#include <vector>

#include "batch_norm.h"
#include "core/half.h"
#include "view_statistics.h"

namespace dpll::DPLL_CUDA_NAMESPACE {
namespace {

// How far means and variances may be from those of y as stored, absolutely.
double bound_of(DType type, double rows, double deviation) {
  const double mean = kMeanInDeviations * deviation;
  // A library may sum y before it is rounded. The errors are uniform: of variance rounding^2 / 3, and without
  // correlation to y but by chance.
  const double rounding = unit_roundoff(type) * (mean + 4 * deviation),
               of_mean = 4 * rounding / std::sqrt(3 * rows), of_variance = 2 * rounding * rounding / 3;
  // Each sum is stored as a float32; whoever adds up in a good order loses little more.
  const double stored = 4 * 0x1p-24 * mean * mean, accurate = 16 * 0x1p-23 * mean * deviation;
  return of_mean * (1 + 2 * deviation) + of_variance + stored + accurate;
}

// OHWI weights like those of `shape`, in which input channel 0 reaches y by the tap (pad, pad) alone, which
// never lies in the padding, as `value`.
template <typename T>
void set_offset(std::vector<T>& weights, const ConvolutionShape& shape, T value) {
  const auto in = static_cast<std::size_t>(shape.in_channels),
             kernel = static_cast<std::size_t>(shape.kernel), pad = static_cast<std::size_t>(shape.pad),
             taps = kernel * kernel;
  for (std::size_t at = 0; at < weights.size(); at += in) {
    weights[at] = at / in % taps == pad * kernel + pad ? value : T{};
  }
}

template <typename T>
void* offset_weights(Runtime& runtime, ContestTensors& make, const LargeMeans& of, T value) {
  std::vector<T> weights(static_cast<std::size_t>(of.shape.weight_elements()));
  const std::size_t bytes = weights.size() * sizeof(T);
  runtime.copy_out(weights.data(), of.weight, bytes);
  set_offset(weights, of.shape, value);
  void* const data = make.memory(bytes);
  runtime.copy_in(data, weights.data(), bytes);
  return data;
}

std::vector<float> filled(int channels, float first, float rest) {
  std::vector<float> values(static_cast<std::size_t>(channels), rest);
  values.front() = first;
  return values;
}

}  // namespace

void offset_by_factors(Runtime& runtime, ContestTensors& make, void* factor, void* offset, DType type,
                       LargeMeans& of) {
  const std::size_t bytes = size_of(type);
  const void *const zero = make.rounded_vector({0}, type), *const one = make.rounded_vector({1}, type);
  void *const old_factor = make.memory(bytes), *const old_offset = make.memory(bytes);
  of.enter = [=, &runtime] {
    runtime.copy(old_factor, factor, bytes);
    runtime.copy(old_offset, offset, bytes);
    runtime.copy(factor, zero, bytes);
    runtime.copy(offset, one, bytes);
  };
  of.leave = [=, &runtime] {
    runtime.copy(factor, old_factor, bytes);
    runtime.copy(offset, old_offset, bytes);
  };
}

void offset_by_input(Runtime& runtime, ContestTensors& make, void* x, const std::function<void()>& draw,
                     LargeMeans& of) {
  const ConvolutionShape& s = of.shape;
  const int channels = s.in_channels;
  // Batch norm that changes nothing, but for channel 0.
  const BatchNormForwardCall call = {.type = s.type,
                                     .shape = {1, s.x_elements() / channels, channels},
                                     .image = {s.height, s.width},
                                     .y = x,
                                     .x = x,
                                     .bn = {.gamma = make.vector(filled(channels, 0, 1)),
                                            .beta = make.vector(filled(channels, 1, 0)),
                                            .running_mean = make.vector(filled(channels, 0, 0)),
                                            .running_var = make.vector(filled(channels, 1, 1))}};
  of.enter = [=, &runtime] { batch_norm_forward(call, runtime.stream()); };
  of.leave = draw;
}

void examine_large_means(Runtime& runtime, Contest& contest, ContestTensors& make, const LargeMeans& of) {
  const ConvolutionShape& s = of.shape;
  const auto offset = static_cast<float>(kMeanInDeviations * of.deviation);
  const std::size_t weight_bytes = static_cast<std::size_t>(s.weight_elements()) * size_of(s.type);
  void* const usual = make.memory(weight_bytes);
  runtime.copy(usual, of.weight, weight_bytes);
  void* const changed =
      s.type == DType::f32
          ? offset_weights<float>(runtime, make, of, offset)
          : offset_weights<std::uint16_t>(
                runtime, make, of, s.type == DType::f16 ? float_to_f16(offset) : float_to_bf16(offset));
  const ViewRows rows{of.views, s.y_elements() / s.out_channels / of.views, s.out_channels};
  const std::int64_t elements = std::int64_t{2} * of.views * s.out_channels;
  auto* const measure = static_cast<float*>(make.memory(static_cast<std::size_t>(elements) * sizeof(float)));
  void* const workspace = make.memory(view_statistics_workspace(rows));
  const std::size_t counter_bytes = channel_counters(rows) * sizeof(unsigned);
  auto* const counters = static_cast<unsigned*>(make.memory(counter_bytes));
  runtime.fill_zero(counters, counter_bytes);

  const double bound = bound_of(s.type, static_cast<double>(rows.rows), of.deviation);
  contest.examination = {
      .enter =
          [=, &runtime] {
            runtime.copy(of.weight, changed, weight_bytes);
            of.enter();
          },
      .measure =
          [=, &runtime] {
            if (of.finish_stats) of.finish_stats();
            view_statistics({.type = s.type,
                             .shape = rows,
                             .y = const_cast<void*>(of.y),
                             .stats = measure,
                             .workspace = workspace,
                             .counters = counters},
                            runtime.stream());
          },
      .leave =
          [=, &runtime] {
            of.leave();
            runtime.copy(of.weight, usual, weight_bytes);
          },
      .output = {.name = fmt::format("statistics of means of {} deviations", kMeanInDeviations),
                 .data = const_cast<float*>(of.stats),
                 .type = DType::f32,
                 .elements = elements,
                 .relative = 8 * 0x1p-24,
                 .absolute = bound},
      .expected = measure};
}

}  // namespace dpll::DPLL_CUDA_NAMESPACE
