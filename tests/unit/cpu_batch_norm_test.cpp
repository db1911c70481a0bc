// The CPU's batch-norm pieces against plain loops in double.
#include "backend/cpu/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "support/doctest.h"
#include "support/host_tensor.h"
#include "support/threads.h"

using namespace dpll;
using cpu::BnGeometry;

namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

// Few and many channels, odd ones, more than a strip of them; fewer and more rows than a block or a tile.
const std::vector<BnGeometry> kGeometries = {
    {1, 1, 1},     {4, 1, 7},     {1, 2, 500},   {3, 37, 20},    {2, 1000, 50},  {4, 513, 3},
    {1, 70001, 1}, {3, 4096, 16}, {2, 4097, 20}, {3, 2048, 128}, {2, 300, 640},  {2, 150, 1500},
    {1, 900, 31},  {2, 5, 1025},  {1, 33, 1024}, {3, 9000, 32},  {2, 20000, 10},
};

struct BatchNormProblem {
  explicit BatchNormProblem(const BnGeometry& g)
      : geometry(g),
        x(elements()),
        d_a(elements()),
        gamma(channels()),
        beta(channels()),
        running_mean(channels()),
        running_var(channels()),
        stats(2 * pairs()),
        scale(pairs()),
        shift(pairs()),
        sums(2 * pairs()),
        d_gamma(channels()),
        d_beta(channels()),
        workspace((cpu::bn_workspace_bytes(g) + sizeof(double) - 1) / sizeof(double)) {
    std::mt19937 random(static_cast<unsigned>(g.views * 7919 + g.rows * 31 + g.channels));
    std::normal_distribution<float> normal;
    for (std::size_t c = 0; c < channels(); ++c) {
      gamma[c] = normal(random);
      beta[c] = normal(random);
      running_mean[c] = normal(random);
      running_var[c] = 1 + std::abs(normal(random));
    }
    for (std::size_t v = 0; v < views(); ++v) {
      for (std::size_t c = 0; c < channels(); ++c) {
        const float mean = 3 * normal(random);
        const float sigma = std::exp(normal(random));
        for (std::size_t r = 0; r < rows(); ++r) x[at(v, r, c)] = mean + sigma * normal(random);
      }
    }
    for (float& d : d_a) d = normal(random) + 0.5F;
  }

  std::size_t views() const { return static_cast<std::size_t>(geometry.views); }
  std::size_t rows() const { return static_cast<std::size_t>(geometry.rows); }
  std::size_t channels() const { return static_cast<std::size_t>(geometry.channels); }
  std::size_t pairs() const { return views() * channels(); }
  std::size_t elements() const { return pairs() * rows(); }
  std::size_t at(std::size_t v, std::size_t r, std::size_t c) const {
    return (v * rows() + r) * channels() + c;
  }
  std::size_t stat(std::size_t v, std::size_t part, std::size_t c) const {
    return (v * 2 + part) * channels() + c;
  }

  BatchNorm bn() {
    using test::tensor_of;
    return {tensor_of(gamma),       tensor_of(beta),    tensor_of(running_mean),
            tensor_of(running_var), tensor_of(d_gamma), tensor_of(d_beta)};
  }
  void make_stats() { cpu::view_stats(stats.data(), x.data(), nullptr, geometry, workspace.data()); }
  void prepare() {
    make_stats();
    cpu::batch_norm_prepare(scale.data(), shift.data(), bn(), stats.data(), geometry);
  }
  void make_sums() {
    cpu::bn_relu_backward_sums(sums.data(), d_gamma.data(), d_beta.data(), d_a.data(), x.data(), stats.data(),
                               scale.data(), shift.data(), geometry, workspace.data());
  }
  void make_d_x(Floats& d_x, Accumulate accumulate, const Floats& d) {
    cpu::bn_relu_backward_apply(d_x.data(), accumulate, d.data(), x.data(), stats.data(), scale.data(),
                                shift.data(), sums.data(), geometry);
  }

  BnGeometry geometry;
  Floats x, d_a, gamma, beta, running_mean, running_var, stats, scale, shift, sums, d_gamma, d_beta;
  Doubles workspace;
};

// [V, 2, C] in double.
Doubles expected_stats(const BatchNormProblem& p) {
  Doubles stats(p.stats.size());
  for (std::size_t v = 0; v < p.views(); ++v) {
    for (std::size_t c = 0; c < p.channels(); ++c) {
      double mean = 0;
      for (std::size_t r = 0; r < p.rows(); ++r) mean += p.x[p.at(v, r, c)];
      mean /= static_cast<double>(p.rows());
      double square = 0;
      for (std::size_t r = 0; r < p.rows(); ++r) square += std::pow(p.x[p.at(v, r, c)] - mean, 2);
      stats[p.stat(v, 0, c)] = mean;
      stats[p.stat(v, 1, c)] = square / static_cast<double>(p.rows());
    }
  }
  return stats;
}

// Largest |actual - expected| / max(|expected|, floor); infinite where one of them is NaN.
double worst(const Floats& actual, const Doubles& expected, double floor) {
  REQUIRE(actual.size() == expected.size());
  double result = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]) / std::max(std::abs(expected[i]), floor);
    result = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(result, error);
  }
  return result;
}

std::string name(const BnGeometry& g) {
  return fmt::format("[{}, {}, {}]", g.views, g.rows, g.channels);
}

}  // namespace

TEST_CASE("cpu batch norm: statistics of a view equal a two-pass computation in double") {
  for (const BnGeometry& g : kGeometries) {
    CAPTURE(name(g));
    BatchNormProblem p(g);
    const Floats x = p.x;
    p.make_stats();
    CHECK(p.x == x);
    const Doubles expected = expected_stats(p);
    for (std::size_t v = 0; v < p.views(); ++v) {
      for (std::size_t c = 0; c < p.channels(); ++c) {
        const double mean = expected[p.stat(v, 0, c)];
        const double var = expected[p.stat(v, 1, c)];
        REQUIRE(std::abs(p.stats[p.stat(v, 0, c)] - mean) <= 1e-7 * (std::abs(mean) + std::sqrt(var)));
        REQUIRE(std::abs(p.stats[p.stat(v, 1, c)] - var) <= 3e-6 * var);
      }
    }
  }
}

TEST_CASE("cpu batch norm: the residual is added in the statistics' pass") {
  for (const BnGeometry& g : kGeometries) {
    CAPTURE(name(g));
    BatchNormProblem p(g);
    BatchNormProblem plain(g);
    for (std::size_t i = 0; i < plain.x.size(); ++i) plain.x[i] += p.d_a[i];
    cpu::view_stats(p.stats.data(), p.x.data(), p.d_a.data(), g, p.workspace.data());
    plain.make_stats();
    CHECK(p.x == plain.x);
    CHECK(p.stats == plain.stats);
  }
}

// Near 1e4 float32 numbers are 2^-10 apart, a tenth of this sigma: rounding the input adds 2^-20 / 12 to the
// variance, and nothing else may be lost. E[x^2] - E[x]^2 in float32 would be wrong by about 10, in double by
// 1e-8.
TEST_CASE("cpu batch norm: a mean of a million sigmas leaves the variance exact") {
  for (const int channels : {1, 20, 32, 500}) {
    CAPTURE(channels);
    const double sigma = 1e-2;
    BatchNormProblem p({2, 8000, channels});
    std::mt19937 random(11);
    std::normal_distribution<double> normal(1e4, sigma);
    for (float& x : p.x) x = static_cast<float>(normal(random));
    p.make_stats();
    const Doubles expected = expected_stats(p);
    for (std::size_t v = 0; v < p.views(); ++v) {
      for (std::size_t c = 0; c < p.channels(); ++c) {
        const double var = expected[p.stat(v, 1, c)];
        // The sample variance itself scatters around sigma^2 by sqrt(2 / n) = 1.6%.
        REQUIRE(var == doctest::Approx(sigma * sigma + 0x1p-20 / 12).epsilon(0.08));
        REQUIRE(std::abs(p.stats[p.stat(v, 1, c)] - var) <= 1e-5 * var);
        REQUIRE(std::abs(p.stats[p.stat(v, 0, c)] - expected[p.stat(v, 0, c)]) <= 0x1p-11 * 1.001);
      }
    }
  }
}

TEST_CASE("cpu batch norm: rows that drift or jump away from the first ones keep the variance exact") {
  for (const int channels : {1, 20, 128, 640}) {
    for (const double jump : {0.0, 1.0, -1e4}) {
      CAPTURE(channels);
      CAPTURE(jump);
      BatchNormProblem p({1, 20000, channels});
      for (std::size_t r = 0; r < p.rows(); ++r) {
        const double drift = jump == 0 ? static_cast<double>(r) : r % 1000 < 7 ? 0.0 : jump;
        for (std::size_t c = 0; c < p.channels(); ++c) {
          p.x[p.at(0, r, c)] = static_cast<float>(drift) + 1e-3F * p.d_a[p.at(0, r, c)];
        }
      }
      p.make_stats();
      const Doubles expected = expected_stats(p);
      for (std::size_t c = 0; c < p.channels(); ++c) {
        const double var = expected[p.stat(0, 1, c)];
        REQUIRE(std::abs(p.stats[p.stat(0, 1, c)] - var) <= 3e-6 * var);
      }
    }
  }
}

TEST_CASE("cpu batch norm: a constant channel has variance zero, NaN and infinity stay visible") {
  BatchNormProblem p({2, 3000, 5});
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    if (i % 5 == 1) p.x[i] = 12345.678F;
  }
  p.x[p.at(0, 2999, 2)] = std::numeric_limits<float>::quiet_NaN();
  p.x[p.at(1, 7, 3)] = std::numeric_limits<float>::infinity();
  p.prepare();
  CHECK(p.stats[p.stat(0, 0, 1)] == 12345.678F);
  CHECK(p.stats[p.stat(0, 1, 1)] == 0.0F);
  CHECK(std::isnan(p.stats[p.stat(0, 1, 2)]));
  CHECK_FALSE(std::isnan(p.stats[p.stat(1, 1, 2)]));
  CHECK(std::isnan(p.stats[p.stat(1, 1, 3)]));
  Floats a(p.x.size());
  cpu::bn_relu_apply(a.data(), p.x.data(), p.scale.data(), p.shift.data(), p.geometry);
  CHECK(std::isnan(a[p.at(0, 0, 2)]));
  CHECK_FALSE(std::isnan(a[p.at(1, 0, 2)]));
}

TEST_CASE("cpu batch norm: scale, shift and running statistics, view after view") {
  for (const BnGeometry& g : kGeometries) {
    CAPTURE(name(g));
    BatchNormProblem p(g);
    Doubles mean(p.running_mean.begin(), p.running_mean.end());
    Doubles var(p.running_var.begin(), p.running_var.end());
    p.prepare();
    Doubles scale(p.pairs());
    Doubles shift(p.pairs());
    const auto n = static_cast<double>(g.rows);
    for (std::size_t v = 0; v < p.views(); ++v) {
      for (std::size_t c = 0; c < p.channels(); ++c) {
        const double m = p.stats[p.stat(v, 0, c)];
        const double s = p.stats[p.stat(v, 1, c)];
        scale[v * p.channels() + c] = p.gamma[c] / std::sqrt(s + 1e-5);
        shift[v * p.channels() + c] = p.beta[c] - m * p.gamma[c] / std::sqrt(s + 1e-5);
        mean[c] = 0.9 * mean[c] + 0.1 * m;
        var[c] = 0.9 * var[c] + 0.1 * s * (g.rows == 1 ? 2 : n / (n - 1));
      }
    }
    CHECK(worst(p.scale, scale, 1e-3) < 1e-6);
    CHECK(worst(p.shift, shift, 1) < 1e-6);
    CHECK(worst(p.running_mean, mean, 1) < 1e-6);
    CHECK(worst(p.running_var, var, 1e-3) < 1e-6);
  }
}

TEST_CASE("cpu batch norm: evaluation uses the running statistics for every view and leaves them alone") {
  BatchNormProblem p({3, 50, 20});
  const Floats mean = p.running_mean;
  const Floats var = p.running_var;
  cpu::batch_norm_prepare(p.scale.data(), p.shift.data(), p.bn(), nullptr, p.geometry);
  CHECK(p.running_mean == mean);
  CHECK(p.running_var == var);
  Doubles scale(p.pairs());
  Doubles shift(p.pairs());
  for (std::size_t i = 0; i < p.pairs(); ++i) {
    const std::size_t c = i % 20;
    scale[i] = p.gamma[c] / std::sqrt(var[c] + 1e-5);
    shift[i] = p.beta[c] - mean[c] * scale[i];
  }
  CHECK(worst(p.scale, scale, 1e-3) < 1e-6);
  CHECK(worst(p.shift, shift, 1) < 1e-6);
}

TEST_CASE("cpu batch norm: apply, also in place") {
  for (const BnGeometry& g : kGeometries) {
    CAPTURE(name(g));
    BatchNormProblem p(g);
    p.prepare();
    Floats a(p.x.size(), -1.0F);
    cpu::bn_relu_apply(a.data(), p.x.data(), p.scale.data(), p.shift.data(), g);
    int wrong = 0;
    for (std::size_t v = 0; v < p.views(); ++v) {
      for (std::size_t r = 0; r < p.rows(); ++r) {
        for (std::size_t c = 0; c < p.channels(); ++c) {
          const std::size_t i = p.at(v, r, c);
          const double mean = p.stats[p.stat(v, 0, c)];
          const double factor = p.gamma[c] / std::sqrt(p.stats[p.stat(v, 1, c)] + 1e-5);
          const double z = (p.x[i] - mean) * factor + p.beta[c];
          // Three roundings (scale, product, sum) of terms that may be larger than z.
          const double size = std::abs(p.x[i] * factor) + std::abs(mean * factor) + std::abs(p.beta[c]);
          wrong += std::abs(a[i] - std::max(0.0, z)) <= 0x1.8p-23 * size ? 0 : 1;
        }
      }
    }
    CHECK(wrong == 0);
    cpu::bn_relu_apply(p.x.data(), p.x.data(), p.scale.data(), p.shift.data(), g);
    CHECK(a == p.x);
  }
}

TEST_CASE("cpu batch norm: backward equals the formulas in double") {
  for (const BnGeometry& g : kGeometries) {
    CAPTURE(name(g));
    BatchNormProblem p(g);
    p.prepare();
    p.make_sums();
    Floats d_x(p.x.size(), -7.0F);
    p.make_d_x(d_x, Accumulate::no, p.d_a);

    Doubles sums(p.sums.size());
    Doubles sizes(p.sums.size());  // sums of magnitudes: what rounding errors are relative to
    Doubles d_gamma(p.channels());
    Doubles d_beta(p.channels());
    Doubles expected(p.x.size());
    double d_x_size = 0;
    for (std::size_t v = 0; v < p.views(); ++v) {
      for (std::size_t c = 0; c < p.channels(); ++c) {
        const double mean = p.stats[p.stat(v, 0, c)];
        const double inverse = 1 / std::sqrt(p.stats[p.stat(v, 1, c)] + 1e-5);
        const float scale = p.scale[v * p.channels() + c];
        const float shift = p.shift[v * p.channels() + c];
        const auto d_z = [&](std::size_t i) { return p.x[i] * scale + shift > 0 ? p.d_a[i] : 0.0; };
        double& sum = sums[p.stat(v, 0, c)];
        double& product = sums[p.stat(v, 1, c)];
        for (std::size_t r = 0; r < p.rows(); ++r) {
          const std::size_t i = p.at(v, r, c);
          sum += d_z(i);
          product += d_z(i) * (p.x[i] - mean) * inverse;
          sizes[p.stat(v, 0, c)] += std::abs(d_z(i));
          sizes[p.stat(v, 1, c)] += std::abs(d_z(i) * (p.x[i] - mean) * inverse);
        }
        const auto n = static_cast<double>(g.rows);
        for (std::size_t r = 0; r < p.rows(); ++r) {
          const std::size_t i = p.at(v, r, c);
          expected[i] = p.gamma[c] * inverse * (d_z(i) - sum / n - (p.x[i] - mean) * inverse * product / n);
          d_x_size = std::max(d_x_size, std::abs(p.gamma[c] * inverse));
        }
        d_beta[c] += sum;
        d_gamma[c] += product;
      }
    }
    for (std::size_t i = 0; i < sums.size(); ++i) {
      REQUIRE(std::abs(p.sums[i] - sums[i]) <= 1e-6 * sizes[i]);
    }
    for (std::size_t c = 0; c < p.channels(); ++c) {
      double size = 0;
      double size_product = 0;
      for (std::size_t v = 0; v < p.views(); ++v) {
        size += sizes[p.stat(v, 0, c)];
        size_product += sizes[p.stat(v, 1, c)];
      }
      REQUIRE(std::abs(p.d_beta[c] - d_beta[c]) <= 1e-6 * size);
      REQUIRE(std::abs(p.d_gamma[c] - d_gamma[c]) <= 1e-6 * size_product);
    }
    CHECK(worst(d_x, expected, d_x_size) < 3e-6);

    Floats in_place = p.d_a;
    p.make_d_x(in_place, Accumulate::no, in_place);
    CHECK(in_place == d_x);

    Floats accumulated(p.x.size());
    Floats total(p.x.size());
    for (std::size_t i = 0; i < total.size(); ++i) {
      accumulated[i] = static_cast<float>(i % 17) - 8;
      total[i] = accumulated[i] + d_x[i];
    }
    p.make_d_x(accumulated, Accumulate::yes, p.d_a);
    CHECK(accumulated == total);
  }
}

TEST_CASE("cpu batch norm: one, two and three threads give the same bits") {
  for (const BnGeometry& g : kGeometries) {
    CAPTURE(name(g));
    std::vector<BatchNormProblem> results;
    std::vector<Floats> gradients;
    for (const int count : {1, 2, 3}) {
      const test::ThreadCount threads(count);
      BatchNormProblem p(g);
      p.prepare();
      p.make_sums();
      Floats d_x(p.x.size());
      p.make_d_x(d_x, Accumulate::no, p.d_a);
      cpu::bn_relu_apply(p.x.data(), p.x.data(), p.scale.data(), p.shift.data(), g);
      results.push_back(p);
      gradients.push_back(d_x);
    }
    for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
      CHECK(results[i].stats == results[0].stats);
      CHECK(results[i].sums == results[0].sums);
      CHECK(results[i].d_gamma == results[0].d_gamma);
      CHECK(results[i].d_beta == results[0].d_beta);
      CHECK(results[i].x == results[0].x);
      CHECK(gradients[i] == gradients[0]);
    }
  }
}
