// The CPU's bn_relu_pool against plain loops in double and against finite differences of them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "backend/cpu/batch_norm.h"
#include "backend/cpu/cpu_ops.h"
#include "support/doctest.h"
#include "support/host_tensor.h"
#include "support/threads.h"

using namespace dpll;

namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

std::size_t size(std::int64_t n) {
  return static_cast<std::size_t>(n);
}

// Tensors and memory of one bn_relu_pool. `step` > 0 makes x a multiple of it, so that windows have many
// equal maxima.
struct BnReluPoolProblem {
  BnReluPoolProblem(const BnReluPoolSpec& s, float step)
      : spec(s),
        op(cpu::make_bn_relu_pool(s)),
        channels(size(s.channels)),
        x(size(std::int64_t{s.rows()} * s.height * s.width) * channels),
        y(size(std::int64_t{s.rows()} * s.out_height() * s.out_width()) * channels, -3.0F),
        d_x(x.size(), -3.0F),
        d_y(y.size()),
        stats(size(s.views) * 2 * channels),
        gamma(channels),
        beta(channels),
        running_mean(channels),
        running_var(channels),
        d_gamma(channels),
        d_beta(channels),
        saved(op->saved_bytes() / sizeof(float)),
        workspace(op->workspace_bytes() / sizeof(double)) {
    std::mt19937 random(static_cast<unsigned>(s.rows() * 1009 + s.height * 31 + s.width * 7 + s.channels));
    std::normal_distribution<float> normal;
    for (std::size_t c = 0; c < channels; ++c) {
      gamma[c] = (c % 3 == 1 ? -1.0F : 1.0F) * (0.5F + std::abs(normal(random)));
      beta[c] = 0.5F * normal(random);
      running_mean[c] = normal(random);
      running_var[c] = 0.5F + std::abs(normal(random));
    }
    const std::size_t per_view = x.size() / size(s.views);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t view = i / per_view;
      x[i] = normal(random) * static_cast<float>(1 + view) + static_cast<float>(i % channels % 5);
      if (step > 0) x[i] = std::round(x[i] / step) * step;
    }
    for (float& d : d_y) d = normal(random) + 0.25F;
    workspace_stats.resize(cpu::bn_workspace_bytes(geometry()) / sizeof(double));
    cpu::view_stats(stats.data(), x.data(), nullptr, geometry(), workspace_stats.data());
  }

  cpu::BnGeometry geometry() const {
    return {spec.views, std::int64_t{spec.batch} * spec.height * spec.width, spec.channels};
  }
  std::size_t in(int n, int h, int w, std::size_t c) const {
    return size((std::int64_t{n} * spec.height + h) * spec.width + w) * channels + c;
  }
  std::size_t out(int n, int h, int w, std::size_t c) const {
    return size((std::int64_t{n} * spec.out_height() + h) * spec.out_width() + w) * channels + c;
  }
  BatchNorm bn() {
    using test::tensor_of;
    return {tensor_of(gamma),       tensor_of(beta),    tensor_of(running_mean),
            tensor_of(running_var), tensor_of(d_gamma), tensor_of(d_beta)};
  }
  Tensor image(Floats& values, int height, int width) const {
    return test::tensor_of(values, {spec.rows(), height, width, spec.channels});
  }
  void forward() {
    BnReluPoolForward call;
    call.y = image(y, spec.out_height(), spec.out_width());
    call.x = image(x, spec.height, spec.width);
    if (spec.mode == Mode::train) call.x_stats = test::tensor_of(stats, {spec.views, 2, spec.channels});
    call.bn = bn();
    call.saved = saved.empty() ? nullptr : saved.data();
    call.workspace = workspace.data();
    op->forward(call);
  }
  void backward() {
    std::fill(workspace.begin(), workspace.end(), std::nan(""));
    BnReluPoolBackward call;
    call.d_x = image(d_x, spec.height, spec.width);
    call.bn = bn();
    call.d_y = image(d_y, spec.out_height(), spec.out_width());
    call.x = image(x, spec.height, spec.width);
    call.x_stats = test::tensor_of(stats, {spec.views, 2, spec.channels});
    call.saved = saved.data();
    call.workspace = workspace.data();
    op->backward(call);
  }

  BnReluPoolSpec spec;
  std::unique_ptr<BnReluPool> op;
  std::size_t channels;
  Floats x, y, d_x, d_y, stats, gamma, beta, running_mean, running_var, d_gamma, d_beta, saved;
  Doubles workspace, workspace_stats;
};

// The same in double: what the CPU must compute, from x alone.
struct Expected {
  Expected(const BnReluPoolProblem& problem, const Doubles& x_) : p(problem), x(x_) {
    const BnReluPoolSpec& s = p.spec;
    z.resize(x.size());
    xhat.resize(x.size());
    inverse.resize(size(s.views) * p.channels);
    for_each_channel([&](int view, std::size_t c) {
      double mean = p.running_mean[c];
      double var = p.running_var[c];
      if (s.mode == Mode::train) {
        mean = 0;
        var = 0;
        for_each_pixel(view, [&](int n, int h, int w) { mean += x[p.in(n, h, w, c)]; });
        mean /= rows();
        for_each_pixel(view, [&](int n, int h, int w) { var += std::pow(x[p.in(n, h, w, c)] - mean, 2); });
        var /= rows();
      }
      const double inv = 1 / std::sqrt(var + 1e-5);
      inverse[size(view) * p.channels + c] = inv;
      for_each_pixel(view, [&](int n, int h, int w) {
        const std::size_t i = p.in(n, h, w, c);
        xhat[i] = (x[i] - mean) * inv;
        z[i] = p.gamma[c] * xhat[i] + p.beta[c];
      });
    });
    y.resize(p.y.size());
    for_each_output([&](int n, int h, int w, std::size_t c) {
      double& out = y[p.out(n, h, w, c)];
      for (const std::size_t i : inputs(n, h, w, c)) out += weight() * std::max(0.0, z[i]);
    });
  }

  void backward() {
    const BnReluPoolSpec& s = p.spec;
    d_x.assign(x.size(), 0);
    d_gamma.assign(p.channels, 0);
    d_beta.assign(p.channels, 0);
    Doubles d_z(x.size());
    for_each_output([&](int n, int h, int w, std::size_t c) {
      for (const std::size_t i : inputs(n, h, w, c)) {
        if (z[i] > 0) d_z[i] = weight() * p.d_y[p.out(n, h, w, c)];
      }
    });
    for_each_channel([&](int view, std::size_t c) {
      double sum = 0;
      double product = 0;
      for_each_pixel(view, [&](int n, int h, int w) {
        const std::size_t i = p.in(n, h, w, c);
        sum += d_z[i];
        product += d_z[i] * xhat[i];
      });
      const double scale = p.gamma[c] * inverse[size(view) * p.channels + c];
      for_each_pixel(view, [&](int n, int h, int w) {
        const std::size_t i = p.in(n, h, w, c);
        d_x[i] = scale * (d_z[i] - sum / rows() - xhat[i] * product / rows());
      });
      d_beta[c] += sum;
      d_gamma[c] += product;
    });
    CHECK(s.mode == Mode::train);
  }

  double rows() const { return static_cast<double>(p.geometry().rows); }
  double weight() const {
    return p.spec.pool == Pool::global_average ? 1.0 / (p.spec.height * p.spec.width) : 1.0;
  }
  // The pixels an output is made of: of a window only the first maximum.
  std::vector<std::size_t> inputs(int n, int h, int w, std::size_t c) const {
    if (p.spec.pool == Pool::none) return {p.in(n, h, w, c)};
    std::vector<std::size_t> result;
    if (p.spec.pool == Pool::global_average) {
      for (int i = 0; i < p.spec.height * p.spec.width; ++i) result.push_back(p.in(n, 0, i, c));
      return result;
    }
    std::size_t best = p.in(n, 2 * h, 2 * w, c);
    for (int k = 1; k < 4; ++k) {
      const std::size_t i = p.in(n, 2 * h + k / 2, 2 * w + k % 2, c);
      if (z[i] > z[best]) best = i;
    }
    return {best};
  }
  template <typename Body>
  void for_each_channel(const Body& body) const {
    for (int view = 0; view < p.spec.views; ++view) {
      for (std::size_t c = 0; c < p.channels; ++c) body(view, c);
    }
  }
  template <typename Body>
  void for_each_pixel(int view, const Body& body) const {
    for (int n = view * p.spec.batch; n < (view + 1) * p.spec.batch; ++n) {
      for (int h = 0; h < p.spec.height; ++h) {
        for (int w = 0; w < p.spec.width; ++w) body(n, h, w);
      }
    }
  }
  template <typename Body>
  void for_each_output(const Body& body) const {
    for (int n = 0; n < p.spec.rows(); ++n) {
      for (int h = 0; h < p.spec.out_height(); ++h) {
        for (int w = 0; w < p.spec.out_width(); ++w) {
          for (std::size_t c = 0; c < p.channels; ++c) body(n, h, w, c);
        }
      }
    }
  }

  const BnReluPoolProblem& p;
  Doubles x, z, xhat, inverse, y, d_x, d_gamma, d_beta;
};

// Largest |actual - expected|; infinite where one of them is NaN.
double worst(const Floats& actual, const Doubles& expected) {
  REQUIRE(actual.size() == expected.size());
  double result = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]);
    result = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(result, error);
  }
  return result;
}

BnReluPoolSpec spec_of(Pool pool, int views, int batch, int height, int width, int channels) {
  BnReluPoolSpec spec;
  spec.pool = pool;
  spec.views = views;
  spec.batch = batch;
  spec.height = height;
  spec.width = width;
  spec.channels = channels;
  return spec;
}

std::vector<BnReluPoolSpec> specs() {
  std::vector<BnReluPoolSpec> all;
  for (const Pool pool : {Pool::none, Pool::max2, Pool::global_average}) {
    all.push_back(spec_of(pool, 3, 4, 28, 28, 20));
    all.push_back(spec_of(pool, 2, 5, 14, 14, 50));
    all.push_back(spec_of(pool, 1, 3, 27, 27, 16));
    all.push_back(spec_of(pool, 3, 2, 5, 3, 7));
    all.push_back(spec_of(pool, 4, 1, 2, 2, 1));
    all.push_back(spec_of(pool, 2, 3, 8, 8, 128));
    all.push_back(spec_of(pool, 2, 2, 3, 6, 1100));
  }
  all.push_back(spec_of(Pool::none, 3, 64, 1, 1, 500));
  all.push_back(spec_of(Pool::global_average, 3, 8, 1, 1, 33));
  return all;
}

std::string name(const BnReluPoolSpec& s) {
  return fmt::format("pool {}, [{} x {}, {}, {}, {}]", static_cast<int>(s.pool), s.views, s.batch, s.height,
                     s.width, s.channels);
}

}  // namespace

TEST_CASE("cpu bn_relu_pool: forward and backward equal the formulas in double") {
  for (const BnReluPoolSpec& spec : specs()) {
    for (const float step : {0.0F, 0.25F}) {
      CAPTURE(name(spec));
      CAPTURE(step);
      BnReluPoolProblem p(spec, step);
      Expected expected(p, Doubles(p.x.begin(), p.x.end()));
      p.forward();
      CHECK(worst(p.y, expected.y) < 1e-5);
      expected.backward();
      p.backward();
      CHECK(worst(p.d_x, expected.d_x) < 1e-5);
      // Sums of up to 10,000 terms of either sign.
      CHECK(worst(p.d_gamma, expected.d_gamma) < 2e-4);
      CHECK(worst(p.d_beta, expected.d_beta) < 2e-4);
    }
  }
}

TEST_CASE("cpu bn_relu_pool: backward is the derivative of forward by finite differences") {
  for (const Pool pool : {Pool::none, Pool::max2, Pool::global_average}) {
    CAPTURE(static_cast<int>(pool));
    BnReluPoolProblem p(spec_of(pool, 2, 2, 5, 3, 2), 0);
    p.forward();
    p.backward();
    Doubles x(p.x.begin(), p.x.end());
    const auto loss = [&] {
      const Expected at(p, x);
      double sum = 0;
      for (std::size_t i = 0; i < at.y.size(); ++i) sum += at.y[i] * p.d_y[i];
      return sum;
    };
    Doubles numeric(x.size());
    const double h = 1e-6;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double before = x[i];
      x[i] = before + h;
      const double above = loss();
      x[i] = before - h;
      const double below = loss();
      x[i] = before;
      numeric[i] = (above - below) / (2 * h);
    }
    CHECK(worst(p.d_x, numeric) < 2e-6);
  }
}

TEST_CASE("cpu bn_relu_pool: of equal maxima the first in row order takes the gradient") {
  // One window per image; x in row order. The statistics are given, so that d_x shows the gradient's way.
  const std::vector<Floats> windows = {
      {5, 5, 5, 5}, {1, 5, 5, 2}, {1, 2, 5, 5}, {0, 1, 2, 5}, {-1, -1, -2, -3}};
  const std::vector<int> taker = {0, 1, 2, 3, -1};  // z of the last one is negative: no gradient
  BnReluPoolProblem p(spec_of(Pool::max2, 1, 5, 2, 2, 1), 0);
  for (std::size_t n = 0; n < windows.size(); ++n) {
    for (std::size_t k = 0; k < 4; ++k) p.x[n * 4 + k] = windows[n][k];
  }
  p.stats = {0, 1};
  p.gamma = {1};
  p.beta = {0};
  p.d_y = {100, 200, 300, 400, 500};
  p.forward();
  p.backward();
  const double inverse = 1 / std::sqrt(1 + 1e-5);
  const double sum = 100 + 200 + 300 + 400;
  const double product = 5 * inverse * sum;
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    CAPTURE(i);
    const double d_z = static_cast<int>(i % 4) == taker[i / 4] ? p.d_y[i / 4] : 0.0;
    CHECK(p.d_x[i] ==
          doctest::Approx(inverse * (d_z - sum / 20 - p.x[i] * inverse * product / 20)).epsilon(1e-5));
  }
}

TEST_CASE("cpu bn_relu_pool: maxima that only rounding makes equal are equal") {
  BnReluPoolProblem p(spec_of(Pool::max2, 1, 1, 2, 2, 1), 0);
  p.x = {-2, 1, std::nextafter(1.0F, 2.0F), 0};
  p.stats = {0, 1};
  p.gamma = {1};
  p.beta = {1000};  // float32 numbers are 6e-5 apart there
  p.d_y = {8};
  p.forward();
  p.backward();
  CHECK(p.d_x[1] == doctest::Approx(8 - 2 - 2).epsilon(1e-4));
  CHECK(p.d_x[2] == doctest::Approx(0 - 2 - 2).epsilon(1e-4));
}

TEST_CASE("cpu bn_relu_pool: pixels that pooling drops still get the gradient of the statistics") {
  BnReluPoolProblem p(spec_of(Pool::max2, 1, 2, 27, 27, 3), 0);
  BnReluPoolProblem other(p.spec, 0);
  p.forward();
  p.backward();
  // y has 13 x 13 pixels and does not see the last row and column; changed there, with the statistics kept, x
  // gives the same y.
  for (int n = 0; n < 2; ++n) {
    for (int i = 0; i < 27; ++i) {
      for (std::size_t c = 0; c < 3; ++c) {
        CHECK(p.d_x[p.in(n, 26, i, c)] != 0.0F);
        CHECK(p.d_x[p.in(n, i, 26, c)] != 0.0F);
        other.x[p.in(n, 26, i, c)] = 1000;
        other.x[p.in(n, i, 26, c)] = 1000;
      }
    }
  }
  other.forward();
  CHECK(other.y == p.y);
}

TEST_CASE("cpu bn_relu_pool: training updates the running statistics once, evaluation uses them") {
  for (const Pool pool : {Pool::none, Pool::max2, Pool::global_average}) {
    CAPTURE(static_cast<int>(pool));
    BnReluPoolProblem train(spec_of(pool, 3, 4, 6, 6, 20), 0);
    Doubles mean(train.running_mean.begin(), train.running_mean.end());
    Doubles var(train.running_var.begin(), train.running_var.end());
    for (std::size_t v = 0; v < 3; ++v) {
      for (std::size_t c = 0; c < 20; ++c) {
        mean[c] = 0.9 * mean[c] + 0.1 * train.stats[v * 40 + c];
        var[c] = 0.9 * var[c] + 0.1 * train.stats[v * 40 + 20 + c] * 144 / 143;
      }
    }
    train.forward();
    train.backward();
    CHECK(worst(train.running_mean, mean) < 1e-6);
    CHECK(worst(train.running_var, var) < 1e-5);

    BnReluPoolSpec spec = train.spec;
    spec.mode = Mode::eval;
    BnReluPoolProblem eval(spec, 0.25F);
    const Floats before_mean = eval.running_mean;
    const Floats before_var = eval.running_var;
    CHECK(eval.op->saved_bytes() == 0);
    eval.forward();
    CHECK(worst(eval.y, Expected(eval, Doubles(eval.x.begin(), eval.x.end())).y) < 1e-5);
    CHECK(eval.running_mean == before_mean);
    CHECK(eval.running_var == before_var);
    CHECK_THROWS_AS(eval.backward(), Error);
  }
}

TEST_CASE("cpu bn_relu_pool: a NaN among the pixels shows in the output") {
  for (const Mode mode : {Mode::train, Mode::eval}) {
    for (const Pool pool : {Pool::none, Pool::max2, Pool::global_average}) {
      for (int k = 0; k < 4; ++k) {
        CAPTURE(static_cast<int>(pool));
        CAPTURE(k);
        BnReluPoolSpec spec = spec_of(pool, 1, 1, 2, 2, 17);
        spec.mode = mode;
        BnReluPoolProblem p(spec, 0);
        p.x[p.in(0, k / 2, k % 2, 3)] = std::numeric_limits<float>::quiet_NaN();
        p.forward();
        int count = 0;
        for (const float y : p.y) count += std::isnan(y) ? 1 : 0;
        CHECK(count == 1);
      }
    }
  }
}

TEST_CASE("cpu bn_relu_pool: one, two and three threads give the same bits") {
  for (const BnReluPoolSpec& spec : specs()) {
    CAPTURE(name(spec));
    BnReluPoolProblem first(spec, 0);
    {
      const test::ThreadCount threads(1);
      first.forward();
      first.backward();
    }
    for (const int count : {2, 3}) {
      const test::ThreadCount threads(count);
      BnReluPoolProblem p(spec, 0);
      p.forward();
      p.backward();
      CHECK(p.y == first.y);
      CHECK(p.d_x == first.d_x);
      CHECK(p.d_gamma == first.d_gamma);
      CHECK(p.d_beta == first.d_beta);
    }
  }
}

TEST_CASE("cpu bn_relu_pool: pooling that leaves no pixel is refused") {
  CHECK_THROWS_AS(cpu::make_bn_relu_pool(spec_of(Pool::max2, 1, 1, 1, 4, 3)), Error);
}
