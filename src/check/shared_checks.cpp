// Checks that several operations share.
#include <cmath>

#include "check/operation_checks.h"

namespace dpll::check {

void check_statistics(const CheckContext& context, const Groups& y_groups, const Floats& y,
                      const Recording& after) {
  const Moments moments = moments_of(y, y_groups);
  const auto n = static_cast<double>(y_groups.rows);
  const auto channels = static_cast<std::size_t>(y_groups.channels);
  Floats want(after["y_stats"].size());
  Doubles allowed(want.size());
  // Relative to the mean, because the plain sums would cancel.
  each_strip(y_groups, [&](std::int64_t view, std::int64_t first, std::int64_t count) {
    for (std::int64_t c = first; c < first + count; ++c) {
      const auto group = static_cast<std::size_t>(view * y_groups.channels + c);
      const auto at = static_cast<std::size_t>(view * 2 * y_groups.channels + c);
      const double mean = moments.sum[group] / n, square = moments.squares[group] / n;
      double variance = 0, largest = 0;
      for (std::int64_t r = 0; r < y_groups.rows; ++r) {
        const double centred = static_cast<double>(y[y_groups.at(view, r, c)]) - mean;
        variance += centred * centred / n;
        largest = std::max(largest, centred * centred);
      }
      want[at] = static_cast<float>(mean);
      want[at + channels] = static_cast<float>(variance);
      // Sums of y and of its squares in float32: relative to 0, or in each thread relative to its first
      // value, which may be the farthest from the mean if there are only few values.
      const double of_sums = kAddition * kFloatRoundoff * (1 + std::sqrt(std::min(n, 4096.0)) / 8);
      const double about = square + variance + largest * std::min(1.0, 32 / n);
      // In 16 bits a convolution may compute the statistics of its output before it is rounded.
      const double of_rounding = context.arithmetic.stored / std::sqrt(n);
      allowed[at] = kSafety * std::sqrt(square) * (of_sums + of_rounding);
      allowed[at + channels] = kSafety * (about * of_sums + 2 * std::sqrt(variance * square) * of_rounding +
                                          context.arithmetic.stored * context.arithmetic.stored * square);
    }
  });
  context.report("y_stats", after.shape("y_stats"),
                 compare_elements(after["y_stats"], want, after.shape("y_stats"),
                                  [&](std::int64_t i) { return allowed[static_cast<std::size_t>(i)]; }));
}

void check_running_statistics(const CheckContext& context, const Groups& x_groups, const Recording& before,
                              const Recording& after, const NormNames& names) {
  const Floats& stats = before[names.x + "_stats"];
  const auto channels = static_cast<std::size_t>(x_groups.channels);
  const auto n = static_cast<double>(x_groups.rows);
  for (const bool variance : {false, true}) {
    const std::string name = names.bn + (variance ? ".running_var" : ".running_mean");
    Floats want = before[name];
    Doubles allowed(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      double value = static_cast<double>(want[c]), scale = std::abs(value);
      for (std::int64_t view = 0; view < x_groups.outer; ++view) {
        const double statistic =
            static_cast<double>(
                stats[(static_cast<std::size_t>(view) * 2 + (variance ? 1 : 0)) * channels + c]) *
            (variance ? n / std::max(1.0, n - 1) : 1);
        value += kBatchNormMomentum * (statistic - value);
        scale = std::max(scale, std::abs(statistic));
      }
      want[c] = static_cast<float>(value);
      allowed[c] = kSafety * kAddition * kFloatRoundoff * scale;
    }
    context.report(name, after.shape(name),
                   compare_elements(after[name], want, after.shape(name),
                                    [&](std::int64_t i) { return allowed[static_cast<std::size_t>(i)]; }));
  }
}

void check_bias_gradient(const CheckContext& context, const Groups& y_groups, const Floats& d_y,
                         const Recording& after) {
  if (!after.has("d_bias")) return;  // nobody asked for it
  const Moments moments = moments_of(d_y, y_groups);
  const auto channels = static_cast<std::size_t>(y_groups.channels);
  Doubles sum(channels), squares(channels);
  for (std::size_t group = 0; group < moments.sum.size(); ++group) {
    sum[group % channels] += moments.sum[group];
    squares[group % channels] += moments.squares[group];
  }
  const double length = static_cast<double>(y_groups.rows) * static_cast<double>(y_groups.outer);
  Doubles error(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    error[c] = kAddition * kFloatRoundoff * std::sqrt(length) * std::sqrt(squares[c]);
  }
  context.report("d_bias", after.shape("d_bias"),
                 compare_groups(after["d_bias"], Floats(sum.begin(), sum.end()),
                                {.channels = y_groups.channels}, error));
}

void check_batch_norm_gradient(const CheckContext& context, const BatchNormModel& model,
                               const BatchNormModel::Gradient& want, const Doubles& error_of_d_a,
                               const Floats& old_d_x, const Recording& after, const NormNames& names) {
  const Groups& groups = model.groups();
  const auto channels = static_cast<std::size_t>(groups.channels);
  const auto n = static_cast<double>(groups.rows);
  const Arithmetic& arithmetic = context.arithmetic;
  Doubles of_beta(channels), of_gamma(channels), certain_beta(channels), certain_gamma(channels);
  Doubles length_beta(channels), length_gamma(channels);
  for (std::size_t group = 0; group < want.sum.size(); ++group) {
    const std::size_t c = group % channels;
    of_beta[c] += n * error_of_d_a[group] * error_of_d_a[group];
    length_beta[c] += want.sum_squares[group];
    length_gamma[c] += want.product_squares[group];
    certain_beta[c] += want.doubtful_sum[group];
    certain_gamma[c] += want.doubtful_product[group];
  }
  const double of_addition = kAddition * kFloatRoundoff * std::sqrt(n * static_cast<double>(groups.outer));
  for (std::size_t c = 0; c < channels; ++c) {
    const double of_d_a = std::sqrt(of_beta[c]);
    of_beta[c] = of_d_a + of_addition * std::sqrt(length_beta[c]) + certain_beta[c] +
                 arithmetic.of_cut(want.d_beta[c]);
    of_gamma[c] = of_d_a + of_addition * std::sqrt(length_gamma[c]) + certain_gamma[c] +
                  arithmetic.of_cut(want.d_gamma[c]);
  }
  const Groups per_channel{.channels = groups.channels};
  context.report("d_" + names.bn + ".gamma", {groups.channels},
                 compare_groups(after[names.bn + ".d_gamma"],
                                Floats(want.d_gamma.begin(), want.d_gamma.end()), per_channel, of_gamma));
  context.report("d_" + names.bn + ".beta", {groups.channels},
                 compare_groups(after[names.bn + ".d_beta"], Floats(want.d_beta.begin(), want.d_beta.end()),
                                per_channel, of_beta));
  const std::string name = "d_" + names.x;
  if (!after.has(name)) return;

  Floats d_x = want.d_x;
  for (std::size_t i = 0; i < old_d_x.size(); ++i) d_x[i] += old_d_x[i];
  Doubles error = root_mean_squares(d_x, groups);
  const Doubles old = old_d_x.empty() ? Doubles(error.size()) : root_mean_squares(old_d_x, groups);
  for (std::size_t group = 0; group < error.size(); ++group) {
    const BatchNormModel::Lane lane =
        model.lane(static_cast<std::int64_t>(group / channels), static_cast<std::int64_t>(group % channels));
    const double d_z = std::sqrt(want.sum_squares[group] / n);
    const double of_means = (want.doubtful_sum[group] + want.doubtful_product[group]) / n;
    error[group] = std::abs(lane.gain) * (error_of_d_a[group] * (1 + 2 / std::sqrt(n)) + of_means +
                                          kAddition * 2 * kFloatRoundoff * d_z + 2 * arithmetic.of_cut(d_z)) +
                   arithmetic.of_storing(error[group]) + kFloatRoundoff * old[group];
  }
  context.report(name, after.shape(name), compare_groups(after[name], d_x, groups, error, want.left_out));
}

}  // namespace dpll::check
