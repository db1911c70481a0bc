#include "support/op_runner.h"

#include <algorithm>
#include <cmath>

#include "support/encode.h"
#include "support/guarded_memory.h"
#include "support/random.h"

namespace dpll::test {
namespace {

// Activations of `type` whose views and channels differ in mean and scale, so that mixing them up shows.
HostTensor random_activation(Random& random, const Shape& shape, int views, DType type) {
  const std::int64_t channels = shape[shape.rank() - 1];
  const std::int64_t view_elements = shape.elements() / views;
  HostTensor x(shape);
  for (int v = 0; v < views; ++v) {
    const HostTensor mean = random.normal_tensor({channels});
    const HostTensor sigma = random.uniform_tensor({channels}, 0.5, 2);
    for (std::int64_t i = 0; i < view_elements; ++i) {
      x[v * view_elements + i] = as_float(mean[i % channels] + sigma[i % channels] * random.normal());
    }
  }
  return rounded(type, x);
}

// x moved to a lattice on which no two values of a 2x2 window are closer than 0.0025; 1/16 in 16 bits, where
// bf16 still holds all of the lattice up to 16.
void separate_within_windows(HostTensor& x, DType type) {
  const double closest = type == DType::f32 ? 0.0025 : 1.0 / 16;
  const std::int64_t width = x.shape[2], channels = x.shape[3];
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    const std::int64_t w = i / channels % width, h = i / channels / width % x.shape[1];
    const double of_window = std::round(x[i] / (4 * closest)) * 4 * closest;
    x[i] = as_float(of_window + closest * static_cast<double>(2 * (h % 2) + w % 2));
    DPLL_CHECK(type == DType::f32 || std::abs(x[i]) <= 16, "{} leaves the lattice", x[i]);
  }
}

// Inputs of the batch norm in front of an op: gamma of both signs, beta, running statistics.
void add_batch_norm_inputs(Tensors& inputs, Random& random, Mode mode, int views) {
  const HostTensor x = inputs.at("x");
  const std::int64_t channels = x.shape[x.shape.rank() - 1];
  HostTensor gamma = random.uniform_tensor({channels}, 0.5, 1.5);
  for (double& value : gamma.values) value *= random.chance(0.3) ? -1 : 1;
  inputs["bn.gamma"] = gamma;
  inputs["bn.running_mean"] = random.normal_tensor({channels});
  inputs["bn.running_var"] = random.uniform_tensor({channels}, 0.5, 2);
  HostTensor stats = view_stats(x, views);
  if (mode == Mode::eval) {
    for (std::int64_t v = 0; v < views; ++v) {
      for (std::int64_t c = 0; c < channels; ++c) {
        stats[(v * 2) * channels + c] = inputs.at("bn.running_mean")[c];
        stats[(v * 2 + 1) * channels + c] = inputs.at("bn.running_var")[c];
      }
    }
  }
  inputs["bn.beta"] = beta_away_from_kinks(x, stats, gamma, views);
}

// The op's batch norm in the backend's memory; the caller adds it to forward and backward calls.
BatchNorm place_batch_norm(GuardedMemory& memory, DType master, Mode mode, const Tensors& inputs,
                           const std::string& prefix = "bn") {
  BatchNorm bn;
  const Shape shape = inputs.at(prefix + ".gamma").shape;
  bn.gamma = memory.input(prefix + ".gamma", master, inputs.at(prefix + ".gamma"));
  bn.beta = memory.input(prefix + ".beta", master, inputs.at(prefix + ".beta"));
  for (const auto& [name, tensor] : {std::pair{prefix + ".running_mean", &bn.running_mean},
                                     std::pair{prefix + ".running_var", &bn.running_var}}) {
    *tensor = mode == Mode::train ? memory.in_out(name, master, inputs.at(name))
                                  : memory.input(name, master, inputs.at(name));
  }
  if (mode == Mode::train) {
    bn.d_gamma = memory.output(prefix + ".d_gamma", master, shape);
    bn.d_beta = memory.output(prefix + ".d_beta", master, shape);
  }
  return bn;
}

void read_running_stats(Tensors& outputs, const GuardedMemory& memory, const BatchNorm& bn,
                        const std::string& prefix = "bn") {
  outputs[prefix + ".running_mean"] = memory.read(bn.running_mean);
  outputs[prefix + ".running_var"] = memory.read(bn.running_var);
}

void read_batch_norm_gradients(Tensors& outputs, const GuardedMemory& memory, const BatchNorm& bn,
                               const std::string& prefix = "bn") {
  outputs["d_" + prefix + ".gamma"] = memory.read(bn.d_gamma);
  outputs["d_" + prefix + ".beta"] = memory.read(bn.d_beta);
}

// Of the shortcut of a join: s, and its batch norm. Then beta puts 0 between the values of the sum of both.
void add_shortcut_inputs(Tensors& inputs, Random& random, const BnReluPoolSpec& s, DType type) {
  inputs["shortcut"] = random_activation(random, s.shortcut_shape(), s.views, type);
  if (s.shortcut == Shortcut::normalised) {
    Tensors of_shortcut{{"x", inputs.at("shortcut")}};
    add_batch_norm_inputs(of_shortcut, random, s.mode, s.views);
    for (const char* name : {"gamma", "beta", "running_mean", "running_var"}) {
      inputs[fmt::format("shortcut_bn.{}", name)] = of_shortcut.at(fmt::format("bn.{}", name));
    }
  }
  // The join itself, on a sum that batch norm leaves as it is: mean 0, variance 1.
  const std::int64_t channels = s.channels;
  HostTensor sum = pre_activation(s, inputs), stats({s.views, 2, channels}), ones({channels});
  for (std::int64_t v = 0; v < s.views; ++v) {
    for (std::int64_t c = 0; c < channels; ++c) stats[(v * 2 + 1) * channels + c] = 1 - kBatchNormEpsilon;
  }
  std::fill(ones.values.begin(), ones.values.end(), 1.0);
  const HostTensor shift = beta_away_from_kinks(sum, stats, ones, s.views);
  for (std::int64_t c = 0; c < channels; ++c) {
    inputs["bn.beta"][c] = as_float(inputs["bn.beta"][c] + shift[c]);
  }
}

// An order in which no row is its own sample, and sample numbers beyond the batch.
BatchRows place_rows(GuardedMemory& memory, int batch) {
  const int samples = batch + 5;
  std::vector<std::int32_t> order(static_cast<std::size_t>(samples));
  for (int i = 0; i < samples; ++i) order[static_cast<std::size_t>(i)] = (3 * samples - 1 - i) * 7;
  return {memory.input_struct("step", test_step()), memory.input("order", order, {samples})};
}

// OIHW <-> the backend's layout.
HostTensor to_layout(const HostTensor& oihw, ConvWeightLayout layout) {
  if (layout == ConvWeightLayout::oihw) return oihw;
  const std::int64_t o = oihw.shape[0], in = oihw.shape[1], kk = oihw.shape[2] * oihw.shape[3];
  HostTensor result({o, oihw.shape[2], oihw.shape[3], in});
  for (std::int64_t i = 0; i < oihw.elements(); ++i) {
    const std::int64_t k = i % kk, c = i / kk % in, out = i / kk / in;
    result[(out * kk + k) * in + c] = oihw[i];
  }
  return result;
}

HostTensor from_layout(const HostTensor& stored, ConvWeightLayout layout) {
  if (layout == ConvWeightLayout::oihw) return stored;
  const std::int64_t o = stored.shape[0], kk = stored.shape[1] * stored.shape[2], in = stored.shape[3];
  HostTensor result({o, in, stored.shape[1], stored.shape[2]});
  for (std::int64_t i = 0; i < stored.elements(); ++i) {
    const std::int64_t c = i % in, k = i / in % kk, out = i / in / kk;
    result[(out * in + c) * kk + k] = stored[i];
  }
  return result;
}

}  // namespace

HostTensor pre_activation(const BnReluPoolSpec& s, const Tensors& inputs) {
  const auto normalised = [&](const HostTensor& x, const std::string& bn) {
    const std::int64_t channels = s.channels, per_view = x.elements() / s.views;
    const HostTensor stats = view_stats(x, s.views);
    HostTensor z = x;
    for (std::int64_t i = 0; i < x.elements(); ++i) {
      const std::int64_t c = i % channels, v = i / per_view;
      const bool train = s.mode == Mode::train;
      const double mean = train ? stats[v * 2 * channels + c] : inputs.at(bn + ".running_mean")[c];
      const double var = train ? stats[(v * 2 + 1) * channels + c] : inputs.at(bn + ".running_var")[c];
      z[i] = inputs.at(bn + ".gamma")[c] * (x[i] - mean) / std::sqrt(var + kBatchNormEpsilon) +
             inputs.at(bn + ".beta")[c];
    }
    return z;
  };
  HostTensor z = normalised(inputs.at("x"), "bn");
  const HostTensor& from = inputs.at("shortcut");
  const HostTensor shortcut = s.shortcut == Shortcut::normalised ? normalised(from, "shortcut_bn") : from;
  if (s.shortcut != Shortcut::subsampled) {
    for (std::int64_t i = 0; i < z.elements(); ++i) z[i] += shortcut[i];
    return z;
  }
  for (std::int64_t n = 0; n < s.rows(); ++n) {
    for (std::int64_t h = 0; h < s.height; ++h) {
      for (std::int64_t w = 0; w < s.width; ++w) {
        for (std::int64_t c = 0; c < s.shortcut_channels; ++c) {
          z[((n * s.height + h) * s.width + w) * s.channels + s.shortcut_pad() + c] +=
              from[((n * s.shortcut_height + 2 * h) * s.shortcut_width + 2 * w) * s.shortcut_channels + c];
        }
      }
    }
  }
  return z;
}

HostTensor rounded(DType type, const HostTensor& values) {
  return decode(type, encode(type, values), values.shape);
}

HostTensor view_stats(const HostTensor& x, int views) {
  const std::int64_t channels = x.shape[x.shape.rank() - 1];
  const std::int64_t rows = x.elements() / channels / views;
  HostTensor stats({views, 2, channels});
  for (std::int64_t v = 0; v < views; ++v) {
    for (std::int64_t c = 0; c < channels; ++c) {
      double& mean = stats[(v * 2) * channels + c];
      double& var = stats[(v * 2 + 1) * channels + c];
      const auto value = [&](std::int64_t r) { return x[(v * rows + r) * channels + c]; };
      for (std::int64_t r = 0; r < rows; ++r) mean += value(r) / static_cast<double>(rows);
      for (std::int64_t r = 0; r < rows; ++r) {
        var += (value(r) - mean) * (value(r) - mean) / static_cast<double>(rows);
      }
    }
  }
  return stats;
}

HostTensor beta_away_from_kinks(const HostTensor& x, const HostTensor& stats, const HostTensor& gamma,
                                int views) {
  const std::int64_t channels = gamma.elements();
  const std::int64_t rows = x.elements() / channels;
  HostTensor beta({channels});
  for (std::int64_t c = 0; c < channels; ++c) {
    std::vector<double> z;
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t v = r / (rows / views);
      const double sigma = std::sqrt(stats[(v * 2 + 1) * channels + c] + kBatchNormEpsilon);
      z.push_back(gamma[c] * (x[r * channels + c] - stats[v * 2 * channels + c]) / sigma);
    }
    std::sort(z.begin(), z.end());
    double widest = 0, middle = z[0] + (c % 2 == 0 ? 0.5 : -0.5);  // where all are equal: either side
    for (std::size_t i = z.size() / 4; i + 1 < z.size() && i <= z.size() * 3 / 4; ++i) {
      if (z[i + 1] - z[i] <= std::max(widest, 1e-9)) continue;
      widest = z[i + 1] - z[i];
      middle = (z[i + 1] + z[i]) / 2;
    }
    beta[c] = as_float(-middle);
  }
  return beta;
}

Tensors preact_conv_inputs(const PreactConvCase& c, std::uint64_t seed, DType type) {
  const PreactConvSpec& s = c.spec;
  Random random(seed);
  Tensors inputs;
  const Shape in = {s.rows(), s.height, s.width, s.in_channels};
  const Shape out = {s.rows(), s.out_height(), s.out_width(), s.out_channels};
  const double fan = s.in_channels * s.kernel * s.kernel;
  inputs["x"] = random_activation(random, in, s.views, type);
  if (s.preact) add_batch_norm_inputs(inputs, random, s.mode, s.views);
  const auto normal = [&](const Shape& shape, double sigma) {
    return rounded(type, random.normal_tensor(shape, 0, sigma));
  };
  inputs["weight"] = normal({s.out_channels, s.in_channels, s.kernel, s.kernel}, 1 / std::sqrt(fan));
  if (s.bias) inputs["bias"] = random.normal_tensor({s.out_channels});
  if (s.projection) {
    inputs["projection_weight"] = normal({s.out_channels, s.in_channels, 1, 1}, 1 / std::sqrt(s.in_channels));
  }
  if (s.residual) inputs["residual"] = normal(out, 1);
  if (s.mode == Mode::train) {
    inputs["d_y"] = normal(out, 1);
    if (s.projection) inputs["d_projected"] = c.shared ? inputs["d_y"] : normal(out, 1);
    if (s.input_gradient && c.accumulate == Accumulate::yes) inputs["d_x"] = normal(in, 1);
  }
  return inputs;
}

OpResult run_preact_conv(Backend& backend, const PreactConvCase& c, const Tensors& inputs, Passes passes) {
  const PreactConvSpec& s = c.spec;
  const DType compute = backend.compute_dtype(), master = backend.master_dtype();
  const ConvWeightLayout layout = backend.conv_weight_layout();
  const bool train = s.mode == Mode::train;
  const std::unique_ptr<PreactConv> op = backend.make_preact_conv(s);
  GuardedMemory memory(backend);
  OpResult result;

  PreactConvForward forward;
  const Shape out = {s.rows(), s.out_height(), s.out_width(), s.out_channels};
  forward.x = memory.input("x", compute, inputs.at("x"));
  if (s.preact) {
    forward.bn = place_batch_norm(memory, master, s.mode, inputs);
    if (train) forward.x_stats = memory.input("x_stats", master, view_stats(inputs.at("x"), s.views));
  }
  forward.weight = memory.input("weight", backend.weight_dtype(), to_layout(inputs.at("weight"), layout));
  if (s.bias) forward.bias = memory.input("bias", master, inputs.at("bias"));
  if (s.projection) {
    forward.projection_weight = memory.input("projection_weight", backend.weight_dtype(),
                                             to_layout(inputs.at("projection_weight"), layout));
    forward.projected = memory.output("projected", compute, out);
  }
  if (s.residual && c.shared) {
    forward.y = forward.residual = memory.in_out("y", compute, inputs.at("residual"));
  } else {
    forward.y = memory.output("y", compute, out);
    if (s.residual) forward.residual = memory.input("residual", compute, inputs.at("residual"));
  }
  if (s.stats) forward.y_stats = memory.output("y_stats", master, view_stats_shape(s.views, s.out_channels));
  forward.rows = place_rows(memory, s.batch);
  forward.saved = memory.scratch("saved", op->saved_bytes());
  forward.workspace = memory.scratch("workspace", op->workspace_bytes());
  op->forward(forward);

  result.outputs["y"] = memory.read(forward.y);
  if (s.stats) result.outputs["y_stats"] = memory.read(forward.y_stats);
  if (s.projection) result.outputs["projected"] = memory.read(forward.projected);

  if (train && passes == Passes::forward_and_backward) {
    PreactConvBackward backward;
    if (s.input_gradient) {
      backward.d_x = c.accumulate == Accumulate::yes ? memory.in_out("d_x", compute, inputs.at("d_x"))
                                                     : memory.output("d_x", compute, forward.x.shape);
    }
    backward.accumulate = c.accumulate;
    backward.d_weight = memory.output("d_weight", backend.weight_dtype(), forward.weight.shape);
    if (s.bias) backward.d_bias = memory.output("d_bias", master, forward.bias.shape);
    backward.d_y = memory.input("d_y", compute, inputs.at("d_y"));
    if (s.projection) {
      backward.d_projection_weight =
          memory.output("d_projection_weight", backend.weight_dtype(), forward.projection_weight.shape);
      backward.d_projected =
          c.shared ? backward.d_y : memory.input("d_projected", compute, inputs.at("d_projected"));
    }
    backward.bn = forward.bn;
    backward.x = forward.x;
    backward.x_stats = forward.x_stats;
    backward.weight = forward.weight;
    backward.projection_weight = forward.projection_weight;
    backward.rows = forward.rows;
    backward.saved = forward.saved;
    // Nothing may live in the workspace from forward to backward.
    backward.workspace = memory.scratch("backward workspace", op->workspace_bytes());
    op->backward(backward);

    if (s.input_gradient) result.outputs["d_x"] = memory.read(backward.d_x);
    result.outputs["d_weight"] = from_layout(memory.read(backward.d_weight), layout);
    if (s.bias) result.outputs["d_bias"] = memory.read(backward.d_bias);
    if (s.projection) {
      result.outputs["d_projection_weight"] = from_layout(memory.read(backward.d_projection_weight), layout);
    }
    if (s.preact) read_batch_norm_gradients(result.outputs, memory, backward.bn);
  }
  if (s.preact) read_running_stats(result.outputs, memory, forward.bn);
  result.violations = memory.check();
  return result;
}

Tensors bn_relu_pool_inputs(const BnReluPoolCase& c, std::uint64_t seed, DType type) {
  const BnReluPoolSpec& s = c.spec;
  Random random(seed);
  Tensors inputs;
  inputs["x"] = random_activation(random, {s.rows(), s.height, s.width, s.channels}, s.views, type);
  if (s.pool == Pool::max2) separate_within_windows(inputs["x"], type);
  if (s.relu && !s.batch_norm) {  // away from the kink
    for (double& x : inputs["x"].values) x = std::abs(x) < 1.0 / 16 ? 1.0 / 16 : x;
  }
  if (s.batch_norm) add_batch_norm_inputs(inputs, random, s.mode, s.views);
  if (s.shortcut != Shortcut::none) add_shortcut_inputs(inputs, random, s, type);
  if (s.mode == Mode::train) {
    inputs["d_y"] =
        rounded(type, random.normal_tensor({s.rows(), s.out_height(), s.out_width(), s.channels}));
  }
  return inputs;
}

OpResult run_bn_relu_pool(Backend& backend, const BnReluPoolCase& c, const Tensors& inputs, Passes passes) {
  const BnReluPoolSpec& s = c.spec;
  const DType compute = backend.compute_dtype(), master = backend.master_dtype();
  const std::unique_ptr<BnReluPool> op = backend.make_bn_relu_pool(s);
  GuardedMemory memory(backend);
  OpResult result;

  BnReluPoolForward forward;
  forward.y = memory.output("y", compute, {s.rows(), s.out_height(), s.out_width(), s.channels});
  forward.x = memory.input("x", compute, inputs.at("x"));
  const bool joins = s.shortcut != Shortcut::none, normalised = s.shortcut == Shortcut::normalised;
  if (s.mode == Mode::train && s.batch_norm) {
    forward.x_stats = memory.input("x_stats", master, view_stats(inputs.at("x"), s.views));
  }
  if (s.batch_norm) forward.bn = place_batch_norm(memory, master, s.mode, inputs);
  if (joins) forward.shortcut = memory.input("shortcut", compute, inputs.at("shortcut"));
  if (normalised) {
    forward.shortcut_bn = place_batch_norm(memory, master, s.mode, inputs, "shortcut_bn");
    if (s.mode == Mode::train) {
      forward.shortcut_stats =
          memory.input("shortcut_stats", master, view_stats(inputs.at("shortcut"), s.views));
    }
  }
  forward.saved = memory.scratch("saved", op->saved_bytes());
  forward.workspace = memory.scratch("workspace", op->workspace_bytes());
  op->forward(forward);
  result.outputs["y"] = memory.read(forward.y);

  if (s.mode == Mode::train && passes == Passes::forward_and_backward) {
    BnReluPoolBackward backward;
    backward.d_x = memory.output("d_x", compute, forward.x.shape);
    backward.bn = forward.bn;
    if (c.shared) {
      backward.d_y = backward.d_shortcut = memory.in_out("d_y", compute, inputs.at("d_y"));
    } else {
      backward.d_y = memory.input("d_y", compute, inputs.at("d_y"));
      if (joins) backward.d_shortcut = memory.output("d_shortcut", compute, s.shortcut_shape());
    }
    backward.shortcut_bn = forward.shortcut_bn;
    backward.x = forward.x;
    backward.x_stats = forward.x_stats;
    backward.shortcut = forward.shortcut;
    backward.shortcut_stats = forward.shortcut_stats;
    backward.saved = forward.saved;
    backward.workspace = memory.scratch("backward workspace", op->workspace_bytes());
    op->backward(backward);
    result.outputs["d_x"] = memory.read(backward.d_x);
    if (joins) result.outputs["d_shortcut"] = memory.read(backward.d_shortcut);
    if (s.batch_norm) read_batch_norm_gradients(result.outputs, memory, backward.bn);
    if (normalised) {
      read_batch_norm_gradients(result.outputs, memory, backward.shortcut_bn, "shortcut_bn");
    }
  }
  if (s.batch_norm) read_running_stats(result.outputs, memory, forward.bn);
  if (normalised) read_running_stats(result.outputs, memory, forward.shortcut_bn, "shortcut_bn");
  result.violations = memory.check();
  return result;
}

Tensors linear_inputs(const LinearCase& c, std::uint64_t seed, DType type) {
  const LinearSpec& s = c.spec;
  Random random(seed);
  Tensors inputs;
  inputs["x"] = random_activation(random, {s.rows(), s.in_features}, s.views, type);
  inputs["weight"] =
      rounded(type, random.normal_tensor({s.out_features, s.in_features}, 0, 1 / std::sqrt(s.in_features)));
  inputs["bias"] = random.normal_tensor({s.out_features});
  if (s.mode == Mode::train) inputs["d_y"] = rounded(type, random.normal_tensor({s.rows(), s.out_features}));
  return inputs;
}

OpResult run_linear(Backend& backend, const LinearCase& c, const Tensors& inputs, Passes passes) {
  const LinearSpec& s = c.spec;
  const DType compute = backend.compute_dtype(), master = backend.master_dtype();
  const std::unique_ptr<Linear> op = backend.make_linear(s);
  GuardedMemory memory(backend);
  OpResult result;

  LinearForward forward;
  forward.y = memory.output("y", compute, {s.rows(), s.out_features});
  if (s.stats) forward.y_stats = memory.output("y_stats", master, view_stats_shape(s.views, s.out_features));
  forward.x = memory.input("x", compute, inputs.at("x"));
  forward.weight = memory.input("weight", backend.weight_dtype(), inputs.at("weight"));
  forward.bias = memory.input("bias", master, inputs.at("bias"));
  forward.workspace = memory.scratch("workspace", op->workspace_bytes());
  op->forward(forward);
  result.outputs["y"] = memory.read(forward.y);
  if (s.stats) result.outputs["y_stats"] = memory.read(forward.y_stats);

  if (s.mode == Mode::train && passes == Passes::forward_and_backward) {
    LinearBackward backward;
    if (s.input_gradient) backward.d_x = memory.output("d_x", compute, forward.x.shape);
    backward.d_weight = memory.output("d_weight", backend.weight_dtype(), forward.weight.shape);
    backward.d_bias = memory.output("d_bias", master, forward.bias.shape);
    backward.d_y = memory.input("d_y", compute, inputs.at("d_y"));
    backward.x = forward.x;
    backward.weight = forward.weight;
    backward.workspace = memory.scratch("backward workspace", op->workspace_bytes());
    op->backward(backward);
    if (s.input_gradient) result.outputs["d_x"] = memory.read(backward.d_x);
    result.outputs["d_weight"] = memory.read(backward.d_weight);
    result.outputs["d_bias"] = memory.read(backward.d_bias);
  }
  result.violations = memory.check();
  return result;
}

}  // namespace dpll::test
