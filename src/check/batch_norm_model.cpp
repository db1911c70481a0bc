#include "check/batch_norm_model.h"

#include <algorithm>
#include <cmath>

namespace dpll::check {

BatchNormModel::Lane BatchNormModel::lane(std::int64_t view, std::int64_t channel) const {
  const auto mean = static_cast<std::size_t>(view * 2 * groups_.channels + channel);
  const auto variance = mean + static_cast<std::size_t>(groups_.channels);
  const auto c = static_cast<std::size_t>(channel);
  const double inverse = 1 / std::sqrt(static_cast<double>(stats_[variance]) + kBatchNormEpsilon);
  return {static_cast<double>(stats_[mean]), inverse, static_cast<double>(gamma_[c]) * inverse,
          static_cast<double>(beta_[c])};
}

Floats BatchNormModel::activation() const {
  Floats a(x_.size());
  each_strip(groups_, [&](std::int64_t view, std::int64_t first, std::int64_t channels) {
    std::vector<Lane> lanes;
    for (std::int64_t c = 0; c < channels; ++c) lanes.push_back(lane(view, first + c));
    std::size_t at = groups_.at(view, 0, first);
    for (std::int64_t r = 0; r < groups_.rows; ++r, at += static_cast<std::size_t>(groups_.channels)) {
      for (std::size_t c = 0; c < lanes.size(); ++c) {
        const double z = lanes[c].z(x_[at + c]);
        a[at + c] = z < 0 ? 0.0F : static_cast<float>(z);  // NaN stays NaN
      }
    }
  });
  return a;
}

Doubles BatchNormModel::reach() const {
  Doubles result(static_cast<std::size_t>(groups_.count()));
  each_strip(groups_, [&](std::int64_t view, std::int64_t first, std::int64_t channels) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const Lane of = lane(view, first + c);
      double squares = 0;
      for (std::int64_t r = 0; r < groups_.rows; ++r) {
        const double reach = of.reach(x_[groups_.at(view, r, first + c)]);
        squares += reach * reach;
      }
      result[static_cast<std::size_t>(view * groups_.channels + first + c)] =
          std::sqrt(squares / static_cast<double>(groups_.rows));
    }
  });
  return result;
}

template <typename Passes, typename Doubt>
BatchNormModel::Gradient BatchNormModel::masked_gradient(const Floats& d_a, const Passes& passes,
                                                         const Doubt& doubt_of) const {
  const auto count = static_cast<std::size_t>(groups_.count());
  const auto channels_of_all = static_cast<std::size_t>(groups_.channels);
  Gradient g{Floats(x_.size()),        Doubles(channels_of_all),
             Doubles(channels_of_all), Doubles(count),
             Doubles(count),           Doubles(count),
             Doubles(count),           Doubles(count),
             Doubles(count),           std::vector<std::uint8_t>(x_.size())};
  const auto n = static_cast<double>(groups_.rows);
  each_strip(groups_, [&](std::int64_t view, std::int64_t first, std::int64_t channels) {
    for (std::int64_t c = first; c < first + channels; ++c) {
      const Lane of = lane(view, c);
      const auto group = static_cast<std::size_t>(view * groups_.channels + c);
      const auto d_z = [&](std::size_t i) { return passes(of, i) ? static_cast<double>(d_a[i]) : 0.0; };
      for (std::int64_t r = 0; r < groups_.rows; ++r) {
        const std::size_t i = groups_.at(view, r, c);
        const double d = d_z(i), x_hat = of.normal(x_[i]);
        g.sum[group] += d;
        g.product[group] += d * x_hat;
        g.sum_squares[group] += d * d;
        g.product_squares[group] += d * x_hat * d * x_hat;
        const double doubt = doubt_of(of, i);
        if (doubt == 0) continue;
        g.left_out[i] = 1;
        g.doubtful_sum[group] += doubt;
        g.doubtful_product[group] += doubt * std::abs(x_hat);
      }
      const double mean = g.sum[group] / n, slope = g.product[group] / n;
      for (std::int64_t r = 0; r < groups_.rows; ++r) {
        const std::size_t i = groups_.at(view, r, c);
        g.d_x[i] = static_cast<float>(of.gain * (d_z(i) - mean - of.normal(x_[i]) * slope));
      }
    }
  });
  for (std::size_t group = 0; group < count; ++group) {
    g.d_beta[group % channels_of_all] += g.sum[group];
    g.d_gamma[group % channels_of_all] += g.product[group];
  }
  return g;
}

BatchNormModel::Gradient BatchNormModel::gradient(const Floats& d_a, double kink,
                                                  const Floats& doubtful) const {
  return masked_gradient(
      d_a, [&](const Lane& of, std::size_t i) { return of.z(x_[i]) > 0; },
      [&](const Lane& of, std::size_t i) {
        const double doubt = doubtful.empty() ? 0 : std::abs(static_cast<double>(doubtful[i]));
        const bool on_kink = std::abs(of.z(x_[i])) <= of.kink(x_[i]) + kink;
        return on_kink ? std::max(doubt, std::abs(static_cast<double>(d_a[i]))) : doubt;
      });
}

BatchNormModel::Gradient BatchNormModel::gradient_of(const Floats& d_z, const Floats& doubtful) const {
  return masked_gradient(
      d_z, [](const Lane&, std::size_t) { return true; },
      [&](const Lane&, std::size_t i) { return std::abs(static_cast<double>(doubtful[i])); });
}

}  // namespace dpll::check
