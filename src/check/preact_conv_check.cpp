#include <cmath>

#include "backend/cpu/dropout.h"
#include "check/operation_checks.h"

namespace dpll::check {
namespace {

Groups groups_of_x(const PreactConvSpec& s) {
  return {s.views, std::int64_t{s.batch} * s.height * s.width, s.in_channels};
}
Groups groups_of_y(const PreactConvSpec& s) {
  return {s.views, std::int64_t{s.batch} * s.out_height() * s.out_width(), s.out_channels};
}

// The factor of dropout for every element of a; empty without dropout.
Floats dropout_factors(const CheckContext& context, const PreactConvSpec& s) {
  if (s.dropout == 0) return {};
  const std::int64_t image = std::int64_t{s.height} * s.width * s.in_channels;
  Floats factors(size(s.rows() * image), 1.0F);
  for (int row = 0; row < s.rows(); ++row) {
    cpu::dropout_apply(factors.data() + row * image, image, {s.dropout, s.dropout_site}, context.rows.step,
                       context.rows.sample(row % s.batch), static_cast<std::uint32_t>(row / s.batch));
  }
  return factors;
}

// The input of the convolutions.
struct Activation {
  Floats a;
  Doubles mean_squares;  // of each group of x
  // The common error of all values of a channel in a view: a root mean square.
  Doubles alike;
  double own = 0;  // unit roundoff of each value, in addition to Arithmetic::factor
};

Activation activation_of(const CheckContext& context, const PreactConvSpec& s, const Recording& before,
                         const Floats& dropout) {
  const Groups groups = groups_of_x(s);
  const Arithmetic& arithmetic = context.arithmetic;
  Activation result;
  result.alike.resize(size(groups.count()));
  if (s.preact) {
    const BatchNormModel model(groups, before["x"], before["x_stats"], before["bn.gamma"], before["bn.beta"]);
    result.a = model.activation();
    result.alike = model.reach();
    const bool may_be_fused = arithmetic.fuses && s.dropout == 0 && !s.projection;
    for (double& error : result.alike) {
      error *= 2 * kFloatRoundoff + (may_be_fused ? arithmetic.stored : 0);
      error /= 1 - s.dropout;
    }
    if (arithmetic.sixteen_bits()) result.own = arithmetic.stored;
    for (std::size_t i = 0; i < dropout.size(); ++i) result.a[i] *= dropout[i];
  } else {
    result.a = before["x"];
  }
  result.mean_squares = moments_of(result.a, groups).squares;
  for (double& squares : result.mean_squares) squares /= static_cast<double>(groups.rows);
  return result;
}

struct Weight {
  Floats values;                // [out, in, k, k]
  Doubles squares, magnitudes;  // [out, in], sums over the kernel of squares and of magnitudes
};

Weight weight_of(const CheckContext& context, const PreactConvSpec& s, const Floats& stored, int kernel) {
  Weight weight{to_oihw(stored, context.layout, s.out_channels, s.in_channels, kernel), {}, {}};
  const std::size_t pairs = size(std::int64_t{s.out_channels} * s.in_channels), taps = size(kernel * kernel);
  weight.squares.resize(pairs);
  weight.magnitudes.resize(pairs);
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    for (std::size_t t = 0; t < taps; ++t) {
      const double w = static_cast<double>(weight.values[pair * taps + t]);
      weight.squares[pair] += w * w;
      weight.magnitudes[pair] += std::abs(w);
    }
  }
  return weight;
}

// Root mean square error of each group of a convolution's output, before it is stored.
Doubles error_of_output(const CheckContext& context, const PreactConvSpec& s, const Activation& activation,
                        const Weight& weight, int kernel, const Doubles& result) {
  const std::size_t in = size(s.in_channels), out = size(s.out_channels);
  Doubles error(size(s.views) * out);
  for (std::size_t group = 0; group < error.size(); ++group) {
    const std::size_t view = group / out, o = group % out;
    double norm = 0, alike = 0;
    for (std::size_t i = 0; i < in; ++i) {
      norm += activation.mean_squares[view * in + i] * weight.squares[o * in + i];
      const double of_channel = activation.alike[view * in + i] * weight.magnitudes[o * in + i];
      alike += of_channel * of_channel;
    }
    norm = std::sqrt(norm);
    error[group] = context.arithmetic.of_sum(double(s.in_channels) * kernel * kernel, norm, result[group]) +
                   activation.own * norm + std::sqrt(alike);
  }
  return error;
}

// The norm of the summands of each group of d_a, computed from `weight` and `d_y`.
Doubles norms_of_d_a(const PreactConvSpec& s, const Weight& weight, const Floats& d_y) {
  const std::size_t in = size(s.in_channels), out = size(s.out_channels);
  const Doubles squares = moments_of(d_y, groups_of_y(s)).squares;
  Doubles norms(size(s.views) * in);
  for (std::size_t group = 0; group < norms.size(); ++group) {
    const std::size_t view = group / in, i = group % in;
    double sum = 0;
    for (std::size_t o = 0; o < out; ++o) sum += squares[view * out + o] * weight.squares[o * in + i];
    norms[group] = std::sqrt(sum / static_cast<double>(groups_of_x(s).rows));
  }
  return norms;
}

// The summands of the gradient of a convolution's weights, by output channel and by input channel.
struct WeightGradientNorms {
  Doubles of_output, of_input;  // root mean square over the weights of a channel of the sums' norms
  Doubles alike_of_output,
      alike_of_input;  // from the common error of the values of a channel of a
};

WeightGradientNorms norms_of_d_weight(const PreactConvSpec& s, const Activation& activation,
                                      const Floats& d_y) {
  const std::size_t out = size(s.out_channels), in = size(s.in_channels);
  // Image by image, because some have far larger gradients than others.
  const Moments of_a = moments_of(activation.a, {s.rows(), std::int64_t{s.height} * s.width, s.in_channels});
  const Moments of_d_y =
      moments_of(d_y, {s.rows(), std::int64_t{s.out_height()} * s.out_width(), s.out_channels});
  const double pixels = double(s.height) * s.width;
  WeightGradientNorms norms{Doubles(out), Doubles(in), Doubles(out), Doubles(in)};
  const auto mean = [](const Doubles& values, std::size_t row, std::size_t count) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += values[row * count + i];
    return sum / static_cast<double>(count);
  };
  for (std::size_t row = 0; row < size(s.rows()); ++row) {
    const double a = mean(of_a.squares, row, in) / pixels, d = mean(of_d_y.squares, row, out);
    for (std::size_t o = 0; o < out; ++o) norms.of_output[o] += of_d_y.squares[row * out + o] * a;
    for (std::size_t i = 0; i < in; ++i) norms.of_input[i] += d * of_a.squares[row * in + i] / pixels;
  }
  const Moments of_view = moments_of(d_y, groups_of_y(s));
  Doubles squares_of_alike = activation.alike, of_sums(of_view.sum.size());
  for (double& value : squares_of_alike) value *= value;
  for (std::size_t group = 0; group < of_sums.size(); ++group) {
    of_sums[group] = of_view.sum[group] * of_view.sum[group] + of_view.squares[group];
  }
  for (std::size_t view = 0; view < size(s.views); ++view) {
    const double alike = mean(squares_of_alike, view, in), sums = mean(of_sums, view, out);
    for (std::size_t o = 0; o < out; ++o) norms.alike_of_output[o] += alike * of_sums[view * out + o];
    for (std::size_t i = 0; i < in; ++i) norms.alike_of_input[i] += squares_of_alike[view * in + i] * sums;
  }
  for (Doubles* all : {&norms.of_output, &norms.of_input, &norms.alike_of_output, &norms.alike_of_input}) {
    for (double& norm : *all) norm = std::sqrt(norm);
  }
  return norms;
}

// Converts [out, in, k, k] to [out, k, k, in], so that the values of an input channel are a group.
Floats input_channels_last(const Floats& weight, const PreactConvSpec& s, int kernel) {
  const std::size_t in = size(s.in_channels), taps = size(kernel * kernel);
  Floats result(weight.size());
  for (std::size_t i = 0; i < weight.size(); ++i) {
    result[(i / (in * taps) * taps + i % taps) * in + i / taps % in] = weight[i];
  }
  return result;
}

// Checks d_weight [out, in, k, k] against `want`. A missing channel may be an output or an input channel;
// reports the larger error.
void report_d_weight(const CheckContext& context, const std::string& name, const PreactConvSpec& s,
                     int kernel, const Activation& activation, const Floats& d_y, const Recording& after,
                     const Floats& want) {
  const Arithmetic& arithmetic = context.arithmetic;
  const WeightGradientNorms norms = norms_of_d_weight(s, activation, d_y);
  const double length = double(s.rows()) * s.out_height() * s.out_width();
  // A convolution that applies batch norm itself stores the gradient of each view.
  const double of_values = activation.own + (arithmetic.fuses && s.preact ? arithmetic.stored : 0);
  const auto errors = [&](const Floats& values, const Groups& groups, const Doubles& norm,
                          const Doubles& alike) {
    Doubles error = root_mean_squares(values, groups);
    for (std::size_t i = 0; i < error.size(); ++i) {
      error[i] = arithmetic.of_sum(length, norm[i], error[i]) + arithmetic.of_storing(error[i]) +
                 of_values * norm[i] + alike[i];
    }
    return error;
  };
  const Floats got = to_oihw(after[name], context.layout, s.out_channels, s.in_channels, kernel);
  const std::int64_t taps = std::int64_t{kernel} * kernel;
  const Groups outputs{s.out_channels, s.in_channels * taps, 1, "output channel"},
      inputs{1, s.out_channels * taps, s.in_channels};
  Outcome worse =
      compare_groups(got, want, outputs, errors(want, outputs, norms.of_output, norms.alike_of_output));
  const Floats by_input = input_channels_last(want, s, kernel);
  Outcome other = compare_groups(input_channels_last(got, s, kernel), by_input, inputs,
                                 errors(by_input, inputs, norms.of_input, norms.alike_of_input));
  if (other.worst > worse.worst) {
    worse = other;
    worse.where = "input " + worse.where;
  }
  context.report(name, after.shape(name), worse);
}

}  // namespace

void check_call(const CheckContext& context, const RecordedCall<PreactConvSpec, PreactConvForward>& call) {
  const PreactConvSpec& s = call.spec;
  const Recording &before = call.before, &after = call.after;
  const Arithmetic& arithmetic = context.arithmetic;
  const Groups groups = groups_of_y(s);
  const Activation activation = activation_of(context, s, before, dropout_factors(context, s));
  const Weight weight = weight_of(context, s, before["weight"], s.kernel);
  const Weight projection = s.projection ? weight_of(context, s, before["projection_weight"], 1) : Weight{};
  Convolved want = convolve(context.cpu, s, activation.a, weight.values, projection.values);

  if (s.projection) {
    const Doubles result = root_mean_squares(want.projected, groups);
    Doubles error = error_of_output(context, s, activation, projection, 1, result);
    for (std::size_t i = 0; i < error.size(); ++i) error[i] += arithmetic.of_storing(result[i]);
    context.report("projected", after.shape("projected"),
                   compare_groups(after["projected"], want.projected, groups, error));
  }
  const Doubles product = root_mean_squares(want.y, groups);
  Doubles error = error_of_output(context, s, activation, weight, s.kernel, product);
  for (std::size_t i = 0; i < want.y.size(); ++i) {
    if (s.bias) want.y[i] += before["bias"][i % size(s.out_channels)];
    if (s.residual) want.y[i] += before["residual"][i];
  }
  const Doubles result = root_mean_squares(want.y, groups);
  for (std::size_t i = 0; i < error.size(); ++i) {
    error[i] += arithmetic.of_storing(result[i]);
    if (s.bias || s.residual) error[i] += arithmetic.of_storing(product[i]);  // stored before they are added
  }
  context.report("y", after.shape("y"), compare_groups(after["y"], want.y, groups, error));
  if (s.stats) check_statistics(context, groups, after["y"], after);
  if (s.preact) check_running_statistics(context, groups_of_x(s), before, after);
}

void check_call(const CheckContext& context, const RecordedCall<PreactConvSpec, PreactConvBackward>& call) {
  const PreactConvSpec& s = call.spec;
  const Recording &before = call.before, &after = call.after;
  const Arithmetic& arithmetic = context.arithmetic;
  const Floats dropout = dropout_factors(context, s);
  const Activation activation = activation_of(context, s, before, dropout);
  const Weight weight = weight_of(context, s, before["weight"], s.kernel);
  const Weight projection = s.projection ? weight_of(context, s, before["projection_weight"], 1) : Weight{};
  const Floats none;
  const Floats& d_y = before["d_y"];
  const Floats& d_projected = s.projection ? before["d_projected"] : none;
  const bool data = s.preact || s.input_gradient;
  ConvolutionGradients want = convolution_gradients(
      context.cpu, s, {activation.a, weight.values, projection.values, d_y, d_projected}, data);

  report_d_weight(context, "d_weight", s, s.kernel, activation, d_y, after, want.d_weight);
  if (s.projection) {
    report_d_weight(context, "d_projection_weight", s, 1, activation, d_projected, after,
                    want.d_projection_weight);
  }
  check_bias_gradient(context, groups_of_y(s), d_y, after);
  if (!data) return;

  const Groups groups = groups_of_x(s);
  const Doubles norms = norms_of_d_a(s, weight, d_y);
  const Doubles of_projection = s.projection ? norms_of_d_a(s, projection, d_projected) : Doubles{};
  const Doubles result = root_mean_squares(want.d_a, groups);
  Doubles error(norms.size());
  for (std::size_t i = 0; i < error.size(); ++i) {
    error[i] = arithmetic.of_sum(double(s.out_channels) * s.kernel * s.kernel, norms[i], result[i]) +
               arithmetic.of_storing(result[i]);
    if (!s.projection) continue;
    // Two sums, each of which is stored; each may be larger than their total.
    error[i] += arithmetic.of_sum(s.out_channels, of_projection[i], result[i]) +
                arithmetic.of_storing(norms[i] + of_projection[i]);
  }
  const Floats& old = before.has("d_x") ? before["d_x"] : none;
  if (!s.preact) {
    for (std::size_t i = 0; i < old.size(); ++i) want.d_a[i] += old[i];
    const Doubles sum = root_mean_squares(want.d_a, groups);
    for (std::size_t i = 0; i < error.size() && !old.empty(); ++i) error[i] += arithmetic.of_storing(sum[i]);
    context.report("d_x", after.shape("d_x"), compare_groups(after["d_x"], want.d_a, groups, error));
    return;
  }
  for (std::size_t i = 0; i < dropout.size(); ++i) want.d_a[i] *= dropout[i];
  for (double& of_d_a : error) of_d_a /= 1 - s.dropout;
  const BatchNormModel model(groups, before["x"], before["x_stats"], before["bn.gamma"], before["bn.beta"]);
  // With dropout the mask comes from the stored values, and small ones may be 0.
  const double kink = s.dropout > 0 ? arithmetic.smallest : 0;
  check_batch_norm_gradient(context, model, model.gradient(want.d_a, kink), error, old, after);
}

}  // namespace dpll::check
