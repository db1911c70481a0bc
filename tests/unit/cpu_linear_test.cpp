// The CPU's linear against plain loops in double.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "backend/cpu/cpu_ops.h"
#include "support/compare.h"
#include "support/doctest.h"
#include "support/host_tensor.h"
#include "support/random.h"
#include "support/threads.h"

using namespace dpll;
using namespace dpll::test;

namespace {

using Floats = std::vector<float>;

struct Layer {
  LinearSpec spec;
  Floats x, weight, bias, d_y, y, y_stats, d_x, d_weight, d_bias;

  explicit Layer(const LinearSpec& s) : spec(s) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    Random random(5);
    const auto normal = [&](int n, double mean) {
      Floats values(static_cast<std::size_t>(n));
      for (float& v : values) v = static_cast<float>(random.normal(mean));
      return values;
    };
    x = normal(s.rows() * s.in_features, 0.5);
    weight = normal(s.in_features * s.out_features, 0);
    bias = normal(s.out_features, 3);
    d_y = normal(s.rows() * s.out_features, 0.1);
    y.assign(d_y.size(), nan);
    y_stats.assign(2 * bias.size() * static_cast<std::size_t>(s.views), nan);
    d_x.assign(x.size(), nan);
    d_weight.assign(weight.size(), nan);
    d_bias.assign(bias.size(), nan);
  }

  void run() {
    const auto op = cpu::make_linear(spec);
    struct alignas(64) CacheLine {
      std::byte bytes[64];
    };
    std::vector<CacheLine> workspace(op->workspace_bytes() / sizeof(CacheLine) + 1);
    const Shape in{spec.rows(), spec.in_features};
    const Shape out{spec.rows(), spec.out_features};
    LinearForward forward{.y = tensor_of(y, out),
                          .x = tensor_of(x, in),
                          .weight = tensor_of(weight, {spec.out_features, spec.in_features}),
                          .bias = tensor_of(bias),
                          .workspace = workspace.data()};
    if (spec.stats) forward.y_stats = tensor_of(y_stats, view_stats_shape(spec.views, spec.out_features));
    op->forward(forward);
    if (spec.mode == Mode::eval) return;
    LinearBackward backward{.d_weight = tensor_of(d_weight, forward.weight.shape),
                            .d_bias = tensor_of(d_bias),
                            .d_y = tensor_of(d_y, out),
                            .x = forward.x,
                            .weight = forward.weight,
                            .workspace = workspace.data()};
    if (spec.input_gradient) backward.d_x = tensor_of(d_x, in);
    op->backward(backward);
  }

  void check(const char* what, const Floats& got, const std::vector<double>& want) const {
    const Shape shape{static_cast<std::int64_t>(want.size())};
    CHECK(difference(what, 5, host_tensor(got.data(), shape), host_tensor(want.data(), shape), {2e-6, 0}) ==
          "");
  }
  void check_all() const {
    const auto rows = static_cast<std::size_t>(spec.rows());
    const auto in = static_cast<std::size_t>(spec.in_features);
    const auto out = static_cast<std::size_t>(spec.out_features);
    std::vector<double> want_y(y.size()), want_d_x(x.size()), want_d_w(weight.size()), want_d_b(out);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t o = 0; o < out; ++o) {
        want_y[r * out + o] = bias[o];
        const double d = d_y[r * out + o];
        want_d_b[o] += d;
        for (std::size_t i = 0; i < in; ++i) {
          want_y[r * out + o] += static_cast<double>(x[r * in + i]) * weight[o * in + i];
          want_d_x[r * in + i] += d * weight[o * in + i];
          want_d_w[o * in + i] += d * x[r * in + i];
        }
      }
    }
    check("y", y, want_y);
    if (spec.stats) check_stats(want_y);
    if (spec.mode == Mode::eval) return;
    check("d_weight", d_weight, want_d_w);
    check("d_bias", d_bias, want_d_b);
    if (spec.input_gradient) check("d_x", d_x, want_d_x);
  }
  void check_stats(const std::vector<double>& want_y) const {
    const auto out = static_cast<std::size_t>(spec.out_features);
    const auto batch = static_cast<std::size_t>(spec.batch);
    std::vector<double> want(y_stats.size());
    for (std::size_t v = 0; v < static_cast<std::size_t>(spec.views); ++v) {
      for (std::size_t o = 0; o < out; ++o) {
        double& mean = want[(v * 2 + 0) * out + o];
        double& var = want[(v * 2 + 1) * out + o];
        for (std::size_t r = 0; r < batch; ++r) mean += want_y[(v * batch + r) * out + o];
        mean /= spec.batch;
        for (std::size_t r = 0; r < batch; ++r) var += std::pow(want_y[(v * batch + r) * out + o] - mean, 2);
        var /= spec.batch;
      }
    }
    check("y_stats", y_stats, want);
  }
};

const std::vector<LinearSpec> kSpecs = {
    {},
    {.views = 3, .batch = 5, .in_features = 7, .out_features = 3, .stats = true},
    {.views = 2, .batch = 67, .in_features = 98, .out_features = 50, .stats = true},
    {.views = 1, .batch = 33, .in_features = 640, .out_features = 100, .input_gradient = false},
    {.mode = Mode::eval, .views = 1, .batch = 129, .in_features = 31, .out_features = 10},
};

}  // namespace

TEST_CASE("cpu linear: forward and backward equal plain loops in double") {
  for (const LinearSpec& spec : kSpecs) {
    CAPTURE(spec.in_features);
    Layer layer(spec);
    layer.run();
    layer.check_all();
    if (!spec.input_gradient || spec.mode == Mode::eval) CHECK(std::isnan(layer.d_x[0]));
  }
}

TEST_CASE("cpu linear: the same bits in every run, also with more threads than rows") {
  for (const LinearSpec& spec : kSpecs) {
    if (spec.mode == Mode::eval || !spec.input_gradient || !spec.stats) continue;
    for (const int count : {1, 2, 5}) {
      const ThreadCount threads(count);
      Layer first(spec);
      first.run();
      first.check_all();
      Layer second(spec);
      second.run();
      CHECK(second.y == first.y);
      CHECK(second.y_stats == first.y_stats);
      CHECK(second.d_x == first.d_x);
      CHECK(second.d_weight == first.d_weight);
      CHECK(second.d_bias == first.d_bias);
    }
  }
}
