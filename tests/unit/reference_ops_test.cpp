// Forward values of the reference backend. A gradient check cannot see a wrong forward pass whose derivative
// is right, so every part of a forward pass is held against something simpler here.
#include <algorithm>
#include <cmath>

#include "dpll/core/philox.h"
#include "support/doctest.h"
#include "support/op_runner.h"
#include "support/random.h"

using namespace dpll;
using namespace dpll::test;

namespace {

OpResult forward(const PreactConvCase& c, const Tensors& inputs) {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  return run_preact_conv(*backend, c, inputs, Passes::forward);
}

Tensors run_backend_sgd(const SgdCase& c, const Tensors& inputs) {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  const OpResult result = run_sgd(*backend, c, inputs);
  CHECK(result.violations == "");
  return result.outputs;
}

// gamma * (x - mean) / sqrt(var + 1e-5) + beta, mean and biased variance over the rows of x's own view.
HostTensor normalised(const HostTensor& x, int views, const HostTensor& gamma, const HostTensor& beta) {
  const std::int64_t channels = gamma.elements(), per_view = x.elements() / views;
  const std::int64_t rows = per_view / channels;
  HostTensor z(x.shape);
  for (std::int64_t v = 0; v < views; ++v) {
    for (std::int64_t c = 0; c < channels; ++c) {
      double sum = 0, squares = 0;
      const auto n = static_cast<double>(rows);
      for (std::int64_t i = v * per_view + c; i < (v + 1) * per_view; i += channels) {
        sum += x[i];
        squares += x[i] * x[i];
      }
      const double var = squares / n - sum / n * sum / n;
      for (std::int64_t i = v * per_view + c; i < (v + 1) * per_view; i += channels) {
        z[i] = gamma[c] * (x[i] - sum / n) / std::sqrt(var + 1e-5) + beta[c];
      }
    }
  }
  return z;
}

}  // namespace

// A convolution is linear in its weights, so shifting by every single tap is all of it.
TEST_CASE("reference conv: a weight of one tap moves the image by that tap's offset") {
  struct Geometry {
    int kernel, stride, pad;
  };
  for (const Geometry g :
       {Geometry{1, 1, 0}, {1, 2, 0}, {3, 1, 1}, {3, 2, 1}, {3, 1, 0}, {5, 1, 2}, {5, 2, 2}}) {
    const PreactConvCase c = conv_case("tap", {1, 2, 7, 6, 2, 3, g.kernel, g.stride, g.pad}, kPlain);
    Tensors inputs = preact_conv_inputs(c, 11);
    const HostTensor& x = inputs.at("x");
    for (int tap = 0; tap < g.kernel * g.kernel; ++tap) {
      const int kh = tap / g.kernel, kw = tap % g.kernel;
      HostTensor& weight = inputs["weight"];
      std::fill(weight.values.begin(), weight.values.end(), 0.0);
      weight[((2 * 2 + 1) * g.kernel + kh) * g.kernel + kw] = 1;  // from channel 1 to channel 2
      const HostTensor y = forward(c, inputs).outputs.at("y");
      const int out_h = (7 + 2 * g.pad - g.kernel) / g.stride + 1,
                out_w = (6 + 2 * g.pad - g.kernel) / g.stride + 1;
      HostTensor want({2, out_h, out_w, 3});
      for (int i = 0; i < 2 * out_h * out_w; ++i) {
        const int h = i / out_w % out_h * g.stride + kh - g.pad, w = i % out_w * g.stride + kw - g.pad;
        const int n = i / out_w / out_h;
        if (h >= 0 && h < 7 && w >= 0 && w < 6) want[i * 3 + 2] = x[((n * 7 + h) * 6 + w) * 2 + 1];
      }
      CHECK(difference(fmt::format("k{} s{} p{} tap {}", g.kernel, g.stride, g.pad, tap), 11, y, want, {}) ==
            "");
    }
  }
}

TEST_CASE("reference conv: a few values by hand, bias and residual included") {
  PreactConvCase c = conv_case("hand", {1, 1, 2, 2, 1, 1, 3, 1, 1}, kBias | kResidual);
  Tensors inputs = preact_conv_inputs(c, 1);
  inputs["x"].values = {1, 2, 3, 4};
  inputs["weight"].values = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  inputs["bias"].values = {0.5};
  inputs["residual"].values = {100, 200, 300, 400};
  const HostTensor y = forward(c, inputs).outputs.at("y");
  // Top left: 5*1 + 6*2 + 8*3 + 9*4 = 77; top right: 4*1 + 5*2 + 7*3 + 8*4 = 67; 47 and 37 below.
  CHECK(y.values == std::vector<double>{177.5, 267.5, 347.5, 437.5});
}

TEST_CASE("reference conv: the projection is a 1x1 convolution of the same activation at the same stride") {
  const PreactConvCase both = conv_case("both", {2, 2, 7, 5, 3, 4, 3, 2, 1}, kPreact | kProjection);
  const PreactConvCase alone = conv_case("1x1", {2, 2, 7, 5, 3, 4, 1, 2, 0}, kPreact);
  const Tensors inputs = preact_conv_inputs(both, 12);
  Tensors inputs_1x1 = inputs;
  inputs_1x1["weight"] = inputs.at("projection_weight");
  CHECK(difference("projected", 12, forward(both, inputs).outputs.at("projected"),
                   forward(alone, inputs_1x1).outputs.at("y"), {}) == "");
}

TEST_CASE("reference batch norm: every view has its own statistics, running ones move view by view") {
  const PreactConvCase c = conv_case("bn", {3, 2, 4, 5, 2, 2, 1, 1, 0}, kPreact | kStats);
  Tensors inputs = preact_conv_inputs(c, 13);
  inputs["weight"].values = {1, 0, 0, 1};
  const OpResult result = forward(c, inputs);
  HostTensor want = normalised(inputs.at("x"), 3, inputs.at("bn.gamma"), inputs.at("bn.beta"));
  for (double& z : want.values) z = std::max(z, 0.0);
  CHECK(difference("y", 13, result.outputs.at("y"), want, {1e-12, 0}) == "");
  CHECK(difference("y_stats", 13, result.outputs.at("y_stats"), view_stats(want, 3), {1e-12, 0}) == "");

  const HostTensor stats = view_stats(inputs.at("x"), 3);
  for (std::int64_t channel = 0; channel < 2; ++channel) {
    double mean = inputs.at("bn.running_mean")[channel], var = inputs.at("bn.running_var")[channel];
    for (std::int64_t v = 0; v < 3; ++v) {
      mean += 0.1 * (stats[v * 4 + channel] - mean);
      var += 0.1 * (stats[v * 4 + 2 + channel] * 40 / 39 - var);
    }
    CHECK(result.outputs.at("bn.running_mean")[channel] == doctest::Approx(mean).epsilon(1e-12));
    CHECK(result.outputs.at("bn.running_var")[channel] == doctest::Approx(var).epsilon(1e-12));
  }
}

TEST_CASE("reference batch norm: statistics of one value, and running ones in evaluation") {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  BnReluPoolCase c{"one value", {Mode::train, 1, 1, 1, 1, 1, Pool::none}};
  Tensors inputs = bn_relu_pool_inputs(c, 14);
  inputs["x"].values = {3};
  inputs["bn.beta"].values = {0.25};
  inputs["bn.running_mean"].values = {1};
  inputs["bn.running_var"].values = {4};
  const Tensors train = run_bn_relu_pool(*backend, c, inputs, Passes::forward).outputs;
  CHECK(train.at("y")[0] == 0.25);
  CHECK(train.at("bn.running_mean")[0] == doctest::Approx(1.2));
  CHECK(train.at("bn.running_var")[0] == doctest::Approx(3.6));

  c.spec.mode = Mode::eval;
  inputs["bn.gamma"].values = {1.5};
  const Tensors eval = run_bn_relu_pool(*backend, c, inputs, Passes::forward).outputs;
  CHECK(eval.at("y")[0] == doctest::Approx(1.5 * 2 / std::sqrt(4 + 1e-5) + 0.25).epsilon(1e-12));
  CHECK(eval.at("bn.running_mean")[0] == 1);
  CHECK(eval.at("bn.running_var")[0] == 4);
}

TEST_CASE("reference dropout: keeps what the contract's draws keep and divides it by 1 - p") {
  // 2 views of 3 images with 4 * 5 * 3 values: more than one Philox block an image.
  const PreactConvCase c = conv_case("dropout", {2, 3, 4, 5, 3, 3, 1, 1, 0}, kPreact | kDropout);
  PreactConvCase off = c;
  off.spec.dropout = 0;
  Tensors inputs = preact_conv_inputs(c, 15);
  std::fill(inputs["weight"].values.begin(), inputs["weight"].values.end(), 0.0);
  for (const std::int64_t i : {0, 4, 8}) inputs["weight"][i] = 1;
  const HostTensor dropped = forward(c, inputs).outputs.at("y");
  HostTensor want = forward(off, inputs).outputs.at("y");
  const StepState step = test_step();
  int kept = 0;
  for (std::int64_t i = 0; i < want.elements(); ++i) {
    const auto element = static_cast<std::uint32_t>(i % 60), image = static_cast<std::uint32_t>(i / 60);
    const std::uint32_t view = image / 3, row = image % 3;
    const std::uint32_t sample = (3 * 8 - 1 - (step.first + row)) * 7;  // the runner's order of 8 samples
    const Philox4 draws =
        philox4x32(step.seed, 4095u << 20 | element / 4, sample, step.epoch, 4u | view << 16);
    const bool keep = draws.v[element % 4] >> 8 >= 0.3 * 0x1p24;
    kept += keep ? 1 : 0;
    want[i] = keep ? want[i] / 0.7 : 0.0;
  }
  CHECK(difference("y", 15, dropped, want, {1e-12, 0}) == "");
  CHECK(std::abs(kept / 360.0 - 0.7) < 0.1);
}

TEST_CASE("reference pooling: maximum of 2x2, odd edges dropped, and the average over the image") {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  for (const Pool pool : {Pool::max2, Pool::global_average}) {
    const BnReluPoolCase c{"pool", {Mode::train, 2, 2, 5, 7, 3, pool}};
    const BnReluPoolCase none{"none", {Mode::train, 2, 2, 5, 7, 3, Pool::none}};
    const Tensors inputs = bn_relu_pool_inputs(c, 16);
    const HostTensor a = run_bn_relu_pool(*backend, none, inputs, Passes::forward).outputs.at("y");
    HostTensor activation = normalised(inputs.at("x"), 2, inputs.at("bn.gamma"), inputs.at("bn.beta"));
    for (double& z : activation.values) z = std::max(z, 0.0);
    CHECK(difference("no pooling", 16, a, activation, {1e-12, 0}) == "");

    HostTensor want(pool == Pool::max2 ? Shape{4, 2, 3, 3} : Shape{4, 1, 1, 3});
    for (std::int64_t i = 0; i < a.elements(); ++i) {
      const std::int64_t channel = i % 3, w = i / 3 % 7, h = i / 21 % 5, n = i / 105;
      if (pool == Pool::global_average) {
        want[n * 3 + channel] += a[i] / 35;
      } else if (h < 4 && w < 6) {
        double& out = want[((n * 2 + h / 2) * 3 + w / 2) * 3 + channel];
        out = std::max(out, a[i]);
      }
    }
    CHECK(difference("pool", 16, run_bn_relu_pool(*backend, c, inputs, Passes::forward).outputs.at("y"), want,
                     {1e-12, 0}) == "");
  }
}

TEST_CASE("reference pooling: of equal maxima the first one gets the gradient") {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  const BnReluPoolCase c{"ties", {Mode::train, 1, 1, 2, 2, 1, Pool::max2}};
  Tensors inputs = bn_relu_pool_inputs(c, 17);
  inputs["x"].values = {-1, 1, 1, -1};  // mean 0, variance 1
  inputs["bn.gamma"].values = {1};
  inputs["bn.beta"].values = {0.5};
  inputs["d_y"].values = {1};
  const Tensors outputs = run_bn_relu_pool(*backend, c, inputs, Passes::forward_and_backward).outputs;
  // d_z is 1 at element 1 alone: d_x = (d_z - 1/4 - x_hat * (1/4)) / sigma.
  const double sigma = std::sqrt(1 + 1e-5), x_hat = 1 / sigma;
  const double low = (-0.25 + x_hat * x_hat / 4) / sigma, high = (-0.25 - x_hat * x_hat / 4) / sigma;
  HostTensor want({1, 2, 2, 1});
  want.values = {low, 1 / sigma + high, high, low};
  CHECK(difference("d_x", 17, outputs.at("d_x"), want, {0, 1e-12}) == "");
}

TEST_CASE("reference linear: values by hand") {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  const LinearCase c{"hand", {Mode::train, 2, 1, 3, 2, true, true}};
  Tensors inputs = linear_inputs(c, 18);
  inputs["x"].values = {1, 2, 3, -1, 0, 1};
  inputs["weight"].values = {1, 10, 100, 2, 0, -1};
  inputs["bias"].values = {0.5, -0.5};
  const Tensors outputs = run_linear(*backend, c, inputs, Passes::forward).outputs;
  CHECK(outputs.at("y").values == std::vector<double>{321.5, -1.5, 99.5, -3.5});
  // One row a view: the mean is that row, the variance 0.
  CHECK(outputs.at("y_stats").values == std::vector<double>{321.5, -1.5, 0, 0, 99.5, -3.5, 0, 0});
}

TEST_CASE("reference sgd: one step by hand, plain and Nesterov, and the average") {
  SgdCase c{
      "hand", {.elements = 1, .momentum = 0.5, .weight_decay = 0.25, .nesterov = false, .ema = 0.75}, 4};
  Tensors inputs = sgd_inputs(c, 19);
  inputs["value"].values = {2};
  inputs["velocity"].values = {1};
  inputs["average"].values = {8};
  inputs["d_value"].values = {6};
  const double rate = static_cast<double>(test_step().learning_rate);
  Tensors outputs = run_backend_sgd(c, inputs);
  // g = 6 / 4 + 0.25 * 2 = 2; velocity = 0.5 + 2 = 2.5
  CHECK(outputs.at("velocity")[0] == 2.5);
  CHECK(outputs.at("value")[0] == doctest::Approx(2 - rate * 2.5).epsilon(1e-15));
  CHECK(outputs.at("average")[0] == doctest::Approx(6 + 0.25 * (2 - rate * 2.5)).epsilon(1e-15));
  CHECK(outputs.at("health").values == std::vector<double>{0, 3, 6, 0, 5, 4});
  c.spec.nesterov = true;
  outputs = run_backend_sgd(c, inputs);
  CHECK(outputs.at("velocity")[0] == 2.5);
  CHECK(outputs.at("value")[0] == doctest::Approx(2 - rate * (2 + 0.5 * 2.5)).epsilon(1e-15));
}

TEST_CASE("reference sgd: a broken gradient changes nothing and is counted") {
  const SgdCase c{"broken", {.elements = 9, .ema = 0.5}};
  Tensors inputs = sgd_inputs(c, 20);
  inputs["d_value"][3] = std::nan("");
  inputs["d_value"][8] = -HUGE_VAL;
  const Tensors outputs = run_backend_sgd(c, inputs);
  for (const char* name : {"value", "velocity", "average"}) {
    CHECK(difference(name, 20, outputs.at(name), inputs.at(name), {}) == "");
  }
  CHECK(outputs.at("health").values == std::vector<double>{2, 4, 0, 1, 4, 1});
}

TEST_CASE("reference cross entropy: values by hand, unknown labels are predicted but not counted") {
  const std::unique_ptr<Backend> backend = make_reference_backend();
  Tensors inputs;
  inputs["logits"] = HostTensor({3, 2});
  inputs["logits"].values = {0, 0, 1, 4, -1e4, 1e4};
  inputs["labels"] = HostTensor({8}, 1);
  inputs["labels"][3] = -1;
  inputs["labels"][4] = 0;
  inputs["sums"] = HostTensor({3});
  inputs["sums"].values = {10, 20, 30};
  const OpResult result = run_cross_entropy(*backend, inputs);
  CHECK(result.violations == "");
  const HostTensor& sums = result.outputs.at("sums");
  CHECK(sums[0] == 12);
  CHECK(sums[1] == doctest::Approx(20 + std::log(2.0) + 2e4).epsilon(1e-14));
  CHECK(sums[2] == 30);  // row 0 predicts 0, the first of the equals, and is 1
  CHECK(result.outputs.at("predictions").values == std::vector<double>{-1, -1, 0, 1, 1, -1, -1, -1});
  const HostTensor& confidences = result.outputs.at("confidences");
  CHECK(confidences[2] == 0.5);
  CHECK(confidences[3] == doctest::Approx(1 / (1 + std::exp(-3.0))).epsilon(1e-7));
  CHECK(confidences[4] == 1);
  CHECK(std::isnan(confidences[5]));  // untouched
}
