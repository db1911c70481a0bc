// The CPU's preact_conv against plain loops in double, on shapes that its chunks, oneDNN's blocked layouts
// and the shared tensors of the contract could get wrong. tests/parity compares it with the reference backend
// at large.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "backend/cpu/convolution_kernels.h"
#include "backend/cpu/cpu_ops.h"
#include "dpll/core/philox.h"
#include "support/compare.h"
#include "support/doctest.h"
#include "support/host_tensor.h"
#include "support/random.h"
#include "support/threads.h"

using namespace dpll;
using namespace dpll::test;

namespace {

using Floats = std::vector<float>;

constexpr double kEps = 1e-5;
constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();

struct Case {
  const char* name;
  PreactConvSpec spec;
  bool shared = false;  // residual is y, d_projected is d_y
  Accumulate accumulate = Accumulate::no;
};

// Channels that fill no vector, batches that no chunk divides, strides that leave a row over.
std::vector<Case> cases() {
  return {
      {"plain", {.views = 1, .batch = 1, .height = 1, .width = 1, .kernel = 1, .pad = 0, .preact = false}},
      {"stem",
       {.views = 3,
        .batch = 5,
        .height = 9,
        .width = 8,
        .in_channels = 3,
        .out_channels = 16,
        .preact = false,
        .stats = true,
        .input_gradient = false}},
      {"lenet",
       {.views = 2,
        .batch = 3,
        .height = 14,
        .width = 13,
        .in_channels = 20,
        .out_channels = 50,
        .kernel = 5,
        .pad = 2,
        .preact = false,
        .bias = true,
        .stats = true},
       false,
       Accumulate::yes},
      {"block",
       {.views = 3,
        .batch = 14,
        .height = 16,
        .width = 16,
        .in_channels = 32,
        .out_channels = 48,
        .residual = true,
        .stats = true},
       false,
       Accumulate::yes},
      {"wide",
       {.views = 1,
        .batch = 2,
        .height = 3,
        .width = 2,
        .in_channels = 1030,
        .out_channels = 7,
        .stats = true}},
      {"down",
       {.views = 2,
        .batch = 6,
        .height = 9,
        .width = 7,
        .in_channels = 17,
        .out_channels = 33,
        .stride = 2,
        .projection = true,
        .stats = true}},
      {"down by whole vectors",
       {.views = 2,
        .batch = 6,
        .height = 9,
        .width = 7,
        .in_channels = 32,
        .out_channels = 48,
        .stride = 2,
        .projection = true,
        .stats = true},
       true,
       Accumulate::yes},
      {"whole vectors, projection and dropout",
       {.views = 2,
        .batch = 3,
        .height = 6,
        .width = 5,
        .in_channels = 16,
        .out_channels = 32,
        .dropout = 0.3,
        .dropout_site = 5,
        .projection = true}},
      {"whole vectors, nothing before the convolution",
       {.views = 1,
        .batch = 3,
        .height = 7,
        .width = 6,
        .in_channels = 16,
        .out_channels = 16,
        .stride = 2,
        .preact = false,
        .projection = true},
       false,
       Accumulate::yes},
      {"everything",
       {.views = 2,
        .batch = 7,
        .height = 5,
        .width = 6,
        .in_channels = 3,
        .out_channels = 19,
        .stride = 2,
        .dropout = 0.3,
        .dropout_site = 4095,
        .bias = true,
        .projection = true,
        .residual = true,
        .stats = true},
       true,
       Accumulate::yes},
      {"no input gradient",
       {.views = 2,
        .batch = 2,
        .height = 4,
        .width = 4,
        .in_channels = 5,
        .out_channels = 6,
        .input_gradient = false}},
      {"plain projection",
       {.views = 1,
        .batch = 3,
        .height = 4,
        .width = 5,
        .in_channels = 6,
        .out_channels = 5,
        .stride = 2,
        .preact = false,
        .projection = true},
       true,
       Accumulate::yes},
      {"evaluation",
       {.mode = Mode::eval,
        .views = 1,
        .batch = 10,
        .height = 7,
        .width = 6,
        .in_channels = 12,
        .out_channels = 20,
        .dropout = 0.5,
        .bias = true,
        .projection = true,
        .residual = true},
       true},
  };
}

struct Values {
  Floats x, weight, projection_weight, bias, residual, gamma, beta, running_mean, running_var, d_y,
      d_projected, d_x;
};

// Every tensor of a case, and what forward and backward make of them.
struct Run {
  Values in;
  Floats y, y_stats, projected, running_mean, running_var;
  Floats d_x, d_weight, d_projection_weight, d_bias, d_gamma, d_beta;
};

Shape in_shape(const PreactConvSpec& s) {
  return {s.rows(), s.height, s.width, s.in_channels};
}
Shape out_shape(const PreactConvSpec& s) {
  return {s.rows(), s.out_height(), s.out_width(), s.out_channels};
}
Shape weight_shape(const PreactConvSpec& s) {
  return {s.out_channels, s.in_channels, s.kernel, s.kernel};
}
std::size_t count(const Shape& shape) {
  return static_cast<std::size_t>(shape.elements());
}

constexpr int kDataSet = 100;

Values make_values(const Case& c) {
  const PreactConvSpec& s = c.spec;
  Random random(7);
  const auto normal = [&](std::int64_t n, double mean, double sigma) {
    Floats values(static_cast<std::size_t>(n));
    for (float& v : values) v = static_cast<float>(random.normal(mean, sigma));
    return values;
  };
  const double fan_in = s.in_channels * s.kernel * s.kernel;
  Values v;
  v.x = normal(in_shape(s).elements(), 0.3, 2);
  v.weight = normal(weight_shape(s).elements(), 0, 1 / std::sqrt(fan_in));
  v.projection_weight = normal(std::int64_t{s.out_channels} * s.in_channels, 0, 1 / std::sqrt(s.in_channels));
  v.bias = normal(s.out_channels, 0, 1);
  v.residual = normal(out_shape(s).elements(), 0, 1);
  v.gamma = normal(s.in_channels, 1, 0.5);
  v.beta = normal(s.in_channels, 0, 0.5);
  v.running_mean = normal(s.in_channels, 0.3, 0.5);
  v.running_var = normal(s.in_channels, 4, 0.5);
  v.d_y = normal(out_shape(s).elements(), 0, 1);
  v.d_projected = c.shared ? v.d_y : normal(out_shape(s).elements(), 0, 1);
  v.d_x = normal(in_shape(s).elements(), 0, 1);
  return v;
}

// View statistics [V, 2, C] in double.
std::vector<double> stats_of(const std::vector<double>& x, int views, int channels) {
  std::vector<double> stats(static_cast<std::size_t>(views * 2 * channels));
  const std::size_t rows = x.size() / static_cast<std::size_t>(views * channels);
  const auto at = [&](std::size_t v, std::size_t part, std::size_t i) -> double& {
    return stats[(v * 2 + part) * static_cast<std::size_t>(channels) +
                 i % static_cast<std::size_t>(channels)];
  };
  const std::size_t view = rows * static_cast<std::size_t>(channels);
  for (std::size_t i = 0; i < x.size(); ++i) at(i / view, 0, i) += x[i] / static_cast<double>(rows);
  for (std::size_t i = 0; i < x.size(); ++i) {
    at(i / view, 1, i) += std::pow(x[i] - at(i / view, 0, i), 2) / static_cast<double>(rows);
  }
  return stats;
}

// Op memory, aligned as the contract promises. Poison shows what is read before it is written.
struct alignas(64) Line {
  float values[16];
};

std::vector<Line> poisoned(std::size_t bytes) {
  Line line{};
  std::fill(std::begin(line.values), std::end(line.values), kNotANumber);
  return std::vector<Line>(bytes / sizeof(Line) + 1, line);
}

// The op on the CPU.
Run run_cpu(const Case& c) {
  const PreactConvSpec& s = c.spec;
  const auto op = cpu::make_preact_conv(s);
  Run run{make_values(c), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  Values& in = run.in;
  auto saved_lines = poisoned(op->saved_bytes());
  auto workspace_lines = poisoned(op->workspace_bytes());
  void* saved = saved_lines.data();

  run.running_mean = in.running_mean;
  run.running_var = in.running_var;
  run.d_gamma.assign(in.gamma.size(), kNotANumber);
  run.d_beta.assign(in.gamma.size(), kNotANumber);
  const BatchNorm bn{tensor_of(in.gamma),        tensor_of(in.beta),     tensor_of(run.running_mean),
                     tensor_of(run.running_var), tensor_of(run.d_gamma), tensor_of(run.d_beta)};
  const std::vector<double> stats = stats_of({in.x.begin(), in.x.end()}, s.views, s.in_channels);
  Floats x_stats(stats.begin(), stats.end());
  StepState step;
  step.seed = 99;
  step.epoch = 3;
  step.first = 20;
  std::vector<std::int32_t> order(kDataSet);
  for (int i = 0; i < kDataSet; ++i) order[static_cast<std::size_t>(i)] = (i * 37) % kDataSet;

  run.y = c.shared && s.residual ? in.residual : Floats(count(out_shape(s)), kNotANumber);
  run.y_stats.assign(count(view_stats_shape(s.views, s.out_channels)), kNotANumber);
  run.projected.assign(count(out_shape(s)), kNotANumber);
  PreactConvForward forward;
  forward.y = tensor_of(run.y, out_shape(s));
  if (s.stats) forward.y_stats = tensor_of(run.y_stats, view_stats_shape(s.views, s.out_channels));
  if (s.projection) forward.projected = tensor_of(run.projected, out_shape(s));
  forward.x = tensor_of(in.x, in_shape(s));
  if (s.preact && s.mode == Mode::train) {
    forward.x_stats = tensor_of(x_stats, view_stats_shape(s.views, s.in_channels));
  }
  if (s.preact) forward.bn = bn;
  forward.weight = tensor_of(in.weight, weight_shape(s));
  if (s.bias) forward.bias = tensor_of(in.bias);
  if (s.projection) {
    forward.projection_weight = tensor_of(in.projection_weight, {s.out_channels, s.in_channels, 1, 1});
  }
  if (s.residual) forward.residual = c.shared ? forward.y : tensor_of(in.residual, out_shape(s));
  forward.rows = {&step, tensor_of(order)};
  forward.saved = saved;
  forward.workspace = workspace_lines.data();
  op->forward(forward);
  if (s.mode == Mode::eval) return run;

  workspace_lines = poisoned(op->workspace_bytes());
  run.d_x = in.d_x;
  run.d_weight.assign(in.weight.size(), kNotANumber);
  run.d_projection_weight.assign(in.projection_weight.size(), kNotANumber);
  run.d_bias.assign(in.bias.size(), kNotANumber);
  PreactConvBackward backward;
  if (s.input_gradient) backward.d_x = tensor_of(run.d_x, in_shape(s));
  backward.accumulate = c.accumulate;
  backward.d_weight = tensor_of(run.d_weight, weight_shape(s));
  if (s.bias) backward.d_bias = tensor_of(run.d_bias);
  if (s.projection) {
    backward.d_projection_weight = tensor_of(run.d_projection_weight, {s.out_channels, s.in_channels, 1, 1});
  }
  backward.bn = forward.bn;
  backward.d_y = tensor_of(in.d_y, out_shape(s));
  if (s.projection) backward.d_projected = c.shared ? backward.d_y : tensor_of(in.d_projected, out_shape(s));
  backward.x = forward.x;
  backward.x_stats = forward.x_stats;
  backward.weight = forward.weight;
  backward.projection_weight = forward.projection_weight;
  backward.rows = forward.rows;
  backward.saved = saved;
  backward.workspace = workspace_lines.data();
  op->backward(backward);
  return run;
}

using Doubles = std::vector<double>;

// Calls body(index into a, index into weight, index into y) for every product of a convolution.
template <typename Body>
void each_product(const PreactConvSpec& s, int kernel, int pad, const Body& body) {
  const auto at = [](int n, int h, int w, int c, int height, int width, int channels) {
    const std::int64_t index = ((std::int64_t{n} * height + h) * width + w) * channels + c;
    return static_cast<std::size_t>(index);
  };
  for (int n = 0; n < s.rows(); ++n) {
    for (int o = 0; o < s.out_channels; ++o) {
      for (int p = 0; p < s.out_height() * s.out_width() * kernel * kernel; ++p) {
        const int kh = p / kernel % kernel, kw = p % kernel;
        const int oh = p / kernel / kernel / s.out_width(), ow = p / kernel / kernel % s.out_width();
        const int h = oh * s.stride + kh - pad, w = ow * s.stride + kw - pad;
        if (h < 0 || h >= s.height || w < 0 || w >= s.width) continue;
        for (int i = 0; i < s.in_channels; ++i) {
          body(at(n, h, w, i, s.height, s.width, s.in_channels),
               at(o, i, kh, kw, s.in_channels, kernel, kernel),
               at(n, oh, ow, o, s.out_height(), s.out_width(), s.out_channels));
        }
      }
    }
  }
}

// What the contract says, in double.
struct Expected {
  Doubles y, y_stats, projected, d_x, d_weight, d_projection_weight, d_bias, d_gamma, d_beta;
};

bool kept(const PreactConvSpec& s, std::size_t i) {
  const auto image = count({s.height, s.width, s.in_channels});
  const auto row = static_cast<int>(i / image), view = row / s.batch;
  const auto element = static_cast<std::uint32_t>(i % image);
  const auto sample = static_cast<std::uint32_t>((20 + row % s.batch) * 37 % kDataSet);
  const Philox4 draws =
      philox4x32(99, (s.dropout_site << 20) + element / 4, sample, 3,
                 static_cast<std::uint32_t>(Purpose::dropout) | static_cast<std::uint32_t>(view) << 16);
  return uniform_float(draws.v[element % 4]) >= s.dropout;
}

Expected expect(const Case& c, const Values& in) {
  const PreactConvSpec& s = c.spec;
  const bool train = s.mode == Mode::train;
  const auto channels = static_cast<std::size_t>(s.in_channels),
             outs = static_cast<std::size_t>(s.out_channels);
  const std::size_t view = in.x.size() / static_cast<std::size_t>(s.views);
  const Doubles x(in.x.begin(), in.x.end());
  const Doubles stats = stats_of(x, s.views, s.in_channels);
  const double keep = train ? 1 - s.dropout : 1;

  Doubles a = x, xhat = x, factor(x.size(), 1.0);  // d_z = d_a * factor
  for (std::size_t i = 0; s.preact && i < x.size(); ++i) {
    const std::size_t ch = i % channels, at = i / view * 2 * channels + ch;
    // The op is given the statistics as float32.
    const double mean = train ? static_cast<float>(stats[at]) : in.running_mean[ch];
    const double var = train ? static_cast<float>(stats[at + channels]) : in.running_var[ch];
    xhat[i] = (x[i] - mean) / std::sqrt(var + kEps);
    const double z = in.gamma[ch] * xhat[i] + in.beta[ch];
    factor[i] = z > 0 && (keep == 1 || kept(s, i)) ? 1 / keep : 0;
    a[i] = z * factor[i];
  }

  Expected e;
  e.y.resize(in.d_y.size());
  e.projected.resize(in.d_y.size());
  for (std::size_t i = 0; i < e.y.size(); ++i) {
    e.y[i] = (s.bias ? in.bias[i % outs] : 0.0) + (s.residual ? in.residual[i] : 0.0);
  }
  each_product(s, s.kernel, s.pad,
               [&](std::size_t i, std::size_t w, std::size_t o) { e.y[o] += a[i] * in.weight[w]; });
  each_product(s, 1, 0, [&](std::size_t i, std::size_t w, std::size_t o) {
    e.projected[o] += a[i] * in.projection_weight[w];
  });
  e.y_stats = stats_of(e.y, s.views, s.out_channels);

  Doubles d_a(x.size());
  e.d_weight.resize(in.weight.size());
  e.d_projection_weight.resize(in.projection_weight.size());
  each_product(s, s.kernel, s.pad, [&](std::size_t i, std::size_t w, std::size_t o) {
    e.d_weight[w] += static_cast<double>(in.d_y[o]) * a[i];
    d_a[i] += static_cast<double>(in.d_y[o]) * in.weight[w];
  });
  each_product(s, 1, 0, [&](std::size_t i, std::size_t w, std::size_t o) {
    e.d_projection_weight[w] += static_cast<double>(in.d_projected[o]) * a[i];
    if (s.projection) d_a[i] += static_cast<double>(in.d_projected[o]) * in.projection_weight[w];
  });
  e.d_bias.resize(outs);
  for (std::size_t o = 0; o < in.d_y.size(); ++o) e.d_bias[o % outs] += in.d_y[o];

  const auto pairs = static_cast<std::size_t>(s.views) * channels;
  Doubles sum(pairs), product(pairs);
  e.d_gamma.resize(channels);
  e.d_beta.resize(channels);
  for (std::size_t i = 0; i < x.size(); ++i) {
    d_a[i] *= factor[i];
    sum[i / view * channels + i % channels] += d_a[i];
    product[i / view * channels + i % channels] += d_a[i] * xhat[i];
    e.d_beta[i % channels] += d_a[i];
    e.d_gamma[i % channels] += d_a[i] * xhat[i];
  }
  e.d_x = d_a;
  const double rows = static_cast<double>(view) / static_cast<double>(channels);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t ch = i % channels, pair = i / view * channels + ch;
    if (s.preact) {
      const double var = static_cast<float>(stats[i / view * 2 * channels + channels + ch]);
      e.d_x[i] =
          in.gamma[ch] / std::sqrt(var + kEps) * (d_a[i] - sum[pair] / rows - xhat[i] * product[pair] / rows);
    }
    if (c.accumulate == Accumulate::yes) e.d_x[i] += in.d_x[i];
  }
  return e;
}

void check(const char* what, const Floats& got, const Doubles& want) {
  const Shape shape{static_cast<std::int64_t>(want.size())};
  REQUIRE(got.size() == want.size());
  CHECK(difference(what, 7, host_tensor(got.data(), shape), host_tensor(want.data(), shape), {3e-6, 1e-30}) ==
        "");
}

}  // namespace

TEST_CASE("cpu preact_conv: forward and backward equal plain loops in double") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    const Run run = run_cpu(c);
    const Expected want = expect(c, run.in);
    check("y", run.y, want.y);
    if (c.spec.stats) check("y_stats", run.y_stats, want.y_stats);
    if (c.spec.projection) check("projected", run.projected, want.projected);
    if (c.spec.mode == Mode::eval) {
      CHECK(run.running_mean == run.in.running_mean);
      continue;
    }
    check("d_weight", run.d_weight, want.d_weight);
    if (c.spec.projection) check("d_projection_weight", run.d_projection_weight, want.d_projection_weight);
    if (c.spec.bias) check("d_bias", run.d_bias, want.d_bias);
    if (c.spec.preact) {
      check("d_gamma", run.d_gamma, want.d_gamma);
      check("d_beta", run.d_beta, want.d_beta);
    }
    if (c.spec.input_gradient) {
      check("d_x", run.d_x, want.d_x);
    } else {
      CHECK(run.d_x == run.in.d_x);
    }
  }
}

TEST_CASE(
    "cpu preact_conv: the same bits in every run, and but for the weights' gradients on any number of "
    "threads") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    const auto bits = [](const Floats& values) {
      return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    };
    const Run first = run_cpu(c);
    for (const int count : {0, 1, 3}) {
      const ThreadCount threads(count == 0 ? omp_get_max_threads() : count);
      const Run run = run_cpu(c);
      for (const auto member : {&Run::y, &Run::y_stats, &Run::projected, &Run::running_mean,
                                &Run::running_var, &Run::d_x, &Run::d_bias, &Run::d_gamma, &Run::d_beta}) {
        CHECK(bits(run.*member) == bits(first.*member));
      }
      if (count == 0) {
        CHECK(bits(run.d_weight) == bits(first.d_weight));
        CHECK(bits(run.d_projection_weight) == bits(first.d_projection_weight));
      }
    }
  }
}

TEST_CASE(
    "cpu preact_conv: a layer with a projection saves no activation where both gradients go by chunks") {
  if (cpu::convolution_kernels() == nullptr) DPLL_SKIP("this processor has neither AVX-512, AVX2 nor NEON");
  PreactConvSpec spec{.views = 1,
                      .batch = 4,
                      .height = 8,
                      .width = 8,
                      .in_channels = 32,
                      .out_channels = 64,
                      .stride = 2,
                      .projection = true};
  const std::size_t activation = count(in_shape(spec)) * sizeof(float);
  CHECK(cpu::make_preact_conv(spec)->saved_bytes() < activation);
  spec.dropout = 0.1;
  CHECK(cpu::make_preact_conv(spec)->saved_bytes() >= activation);
}

TEST_CASE("cpu preact_conv: an impossible geometry is refused with its numbers") {
  PreactConvSpec spec{.height = 2, .width = 2, .kernel = 5, .pad = 0};
  CHECK_THROWS_WITH_AS(cpu::make_preact_conv(spec), doctest::Contains("kernel 5 on 2x2 images"), Error);
}
