#include "backend/reference/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "backend/shared_statistics.h"

namespace dpll::reference {
namespace {

std::size_t mean_at(const BnGeometry& g, int view, int c) {
  return static_cast<std::size_t>((std::int64_t{view} * 2) * g.channels + c);
}
std::size_t var_at(const BnGeometry& g, int view, int c) {
  return static_cast<std::size_t>((std::int64_t{view} * 2 + 1) * g.channels + c);
}
std::int64_t value_at(const BnGeometry& g, int view, std::int64_t row, int c) {
  return (view * g.rows + row) * g.channels + c;
}

}  // namespace

void view_stats(double* stats, const double* y, const BnGeometry& g) {
  const auto n = static_cast<double>(g.rows);
  std::vector<double> moments(static_cast<std::size_t>(g.views * 2 * g.channels));
  for (int v = 0; v < g.views; ++v) {
    for (int c = 0; c < g.channels; ++c) {
      double sum = 0;
      for (std::int64_t r = 0; r < g.rows; ++r) sum += y[value_at(g, v, r, c)];
      const double mean = sum / n;
      double squares = 0;
      for (std::int64_t r = 0; r < g.rows; ++r) {
        const double centred = y[value_at(g, v, r, c)] - mean;
        squares += centred * centred;
      }
      moments[mean_at(g, v, c)] = mean;
      moments[var_at(g, v, c)] = squares;
    }
  }
  if (g.ranks != nullptr) merge_moments(*g.ranks, moments, g.rows, g.views, g.channels);
  for (int v = 0; v < g.views; ++v) {
    for (int c = 0; c < g.channels; ++c) {
      stats[mean_at(g, v, c)] = moments[mean_at(g, v, c)];
      stats[var_at(g, v, c)] = moments[var_at(g, v, c)] / static_cast<double>(g.counted());
    }
  }
}

std::vector<double> normalising_stats(Mode mode, const BatchNorm& bn, const Tensor& x_stats,
                                      const BnGeometry& g) {
  std::vector<double> stats(static_cast<std::size_t>(g.views) * 2 * static_cast<std::size_t>(g.channels));
  if (mode == Mode::train) {
    std::copy_n(x_stats.as<double>(), stats.size(), stats.begin());
    return stats;
  }
  for (int v = 0; v < g.views; ++v) {
    for (int c = 0; c < g.channels; ++c) {
      stats[mean_at(g, v, c)] = bn.running_mean.as<double>()[c];
      stats[var_at(g, v, c)] = bn.running_var.as<double>()[c];
    }
  }
  return stats;
}

void update_running_stats(const BatchNorm& bn, const std::vector<double>& stats, const BnGeometry& g) {
  const auto n = static_cast<double>(std::max<std::int64_t>(g.counted(), 2));
  for (int c = 0; c < g.channels; ++c) {
    double& mean = bn.running_mean.as<double>()[c];
    double& var = bn.running_var.as<double>()[c];
    for (int v = 0; v < g.views; ++v) {
      const double unbiased = stats[var_at(g, v, c)] * n / (n - 1);
      mean = (1 - kBatchNormMomentum) * mean + kBatchNormMomentum * stats[mean_at(g, v, c)];
      var = (1 - kBatchNormMomentum) * var + kBatchNormMomentum * unbiased;
    }
  }
}

void batch_norm(double* z, const double* x, const std::vector<double>& stats, const BatchNorm& bn,
                const BnGeometry& g) {
  for (int v = 0; v < g.views; ++v) {
    for (std::int64_t r = 0; r < g.rows; ++r) {
      for (int c = 0; c < g.channels; ++c) {
        const double sigma = std::sqrt(stats[var_at(g, v, c)] + kBatchNormEpsilon);
        const double x_hat = (x[value_at(g, v, r, c)] - stats[mean_at(g, v, c)]) / sigma;
        z[value_at(g, v, r, c)] = bn.gamma.as<double>()[c] * x_hat + bn.beta.as<double>()[c];
      }
    }
  }
}

// With mean and variance functions of x:
//   d_x = gamma / sigma * (d_z - mean(d_z) - x_hat * mean(d_z * x_hat)), means over the view on all ranks.
void batch_norm_backward(double* d_x, Accumulate accumulate, const BatchNorm& bn, const double* d_z,
                         const double* x, const std::vector<double>& stats, const BnGeometry& g) {
  const auto n = static_cast<double>(g.counted());
  const auto sigma_of = [&](int v, int c) { return std::sqrt(stats[var_at(g, v, c)] + kBatchNormEpsilon); };
  std::vector<double> sums(stats.size());  // [V, 2, C]: of d_z and of d_z * x_hat
  SharedSums shared(g.ranks, sums.data(), static_cast<std::int64_t>(sums.size()));
  for (int c = 0; c < g.channels; ++c) {
    double d_gamma = 0;
    double d_beta = 0;
    for (int v = 0; v < g.views; ++v) {
      double sum = 0;
      double sum_x_hat = 0;
      for (std::int64_t r = 0; r < g.rows; ++r) {
        const std::int64_t i = value_at(g, v, r, c);
        sum += d_z[i];
        sum_x_hat += d_z[i] * (x[i] - stats[mean_at(g, v, c)]) / sigma_of(v, c);
      }
      shared.set(static_cast<std::int64_t>(mean_at(g, v, c)), sum);
      shared.set(static_cast<std::int64_t>(var_at(g, v, c)), sum_x_hat);
      d_gamma += sum_x_hat;
      d_beta += sum;
    }
    bn.d_gamma.as<double>()[c] = d_gamma;
    bn.d_beta.as<double>()[c] = d_beta;
  }
  shared.finish();
  for (int v = 0; v < g.views; ++v) {
    for (int c = 0; c < g.channels; ++c) {
      const double sigma = sigma_of(v, c), sum = sums[mean_at(g, v, c)], sum_x_hat = sums[var_at(g, v, c)];
      for (std::int64_t r = 0; r < g.rows; ++r) {
        const std::int64_t i = value_at(g, v, r, c);
        const double x_hat = (x[i] - stats[mean_at(g, v, c)]) / sigma;
        const double gradient = bn.gamma.as<double>()[c] / sigma * (d_z[i] - sum / n - x_hat * sum_x_hat / n);
        d_x[i] = (accumulate == Accumulate::yes ? d_x[i] : 0.0) + gradient;
      }
    }
  }
}

}  // namespace dpll::reference
