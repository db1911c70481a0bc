#include "support/preact_conv_tolerances.h"

#include <cmath>

namespace dpll::test {

Tolerances preact_conv_tolerances(const PreactConvCase& c, const Tensors& inputs, double epsilon) {
  const PreactConvSpec& s = c.spec;
  const double taps = s.kernel * s.kernel;
  const double rows_in = double(s.rows()) * s.height * s.width,
               rows_out = double(s.rows()) * s.out_height() * s.out_width();
  const double weight = 1 / std::sqrt(taps * s.in_channels);  // root mean squares, as are the next two
  const double activation = s.preact ? 1 : 2;
  const double d_activation = std::sqrt(double(s.out_channels) / s.in_channels) * (s.projection ? 2 : 1);
  const Conditioning bn = s.preact ? conditioning_of(inputs, s.mode, s.views) : Conditioning{};
  const Tolerance of_a = {0, kSafety * epsilon * bn.value};  // of a, and of y as weights have length 1

  // A sum in float32 of terms that were rounded to the stored type, rounded to it once more.
  const auto stored_sum = [&](double length, double term) {
    const Tolerance of_sum = rounding_of_sum(length, term);
    if (epsilon == kEpsilon) return of_sum;
    return of_sum + Tolerance{kSafety * epsilon, kSafety * epsilon * std::sqrt(length) * term};
  };

  Tolerances t;
  t["y"] = stored_sum(taps * s.in_channels, activation * weight) + of_a;
  t["projected"] = stored_sum(s.in_channels, activation / std::sqrt(s.in_channels)) + of_a;
  // The mean of y, and the variance: its change is the mean of 2 |y - mean| times y's, and
  // y's standard deviation is at most 4 here.
  t["y_stats"] = {8 * t["y"].relative, 8 * t["y"].absolute};
  t["d_weight"] = t["d_projection_weight"] =
      stored_sum(rows_out, activation) + Tolerance{0, std::sqrt(rows_out) * of_a.absolute};
  t["d_bias"] = stored_sum(rows_out, 1);
  const Tolerance of_d_a = stored_sum(taps * s.out_channels, weight * (s.projection ? 2 : 1));
  t["d_x"] = of_d_a;
  if (s.preact) {
    // gain * (d_z - mean(d_z) - x_hat mean(d_z x_hat)): the means are off by less than their summands.
    const double amplified = bn.gain * (of_d_a.absolute + kSafety * epsilon * d_activation * (1 + bn.offset));
    t["d_x"] = {of_d_a.relative, amplified};
    const Tolerance of_sum = stored_sum(rows_in, d_activation);
    t["d_bn.beta"] = of_sum + Tolerance{0, std::sqrt(rows_in) * of_d_a.absolute};
    t["d_bn.gamma"] =
        t["d_bn.beta"] + Tolerance{0, std::sqrt(rows_in) * kSafety * epsilon * d_activation * bn.offset};
    t["bn.running_mean"] = t["bn.running_var"] = {kSafety * kEpsilon, 0};
  }
  return t;
}

// What is stored in 16 bits on the way: a, the product and then y, d_a of convolution and projection.
Tolerances preact_conv_tolerances_in_16_bits(const PreactConvCase& c, DType type, const Tensors& inputs,
                                             const Tensors& want) {
  const PreactConvSpec& s = c.spec;
  const double u = stored_in(type).relative;
  const double rows_in = double(s.rows()) * s.height * s.width,
               rows_out = double(s.rows()) * s.out_height() * s.out_width();
  const double largest_of_y = largest(want.at("y"));
  const double added =
      (s.bias ? largest(inputs.at("bias")) : 0) + (s.residual ? largest(inputs.at("residual")) : 0);
  // Sums of roundings with random signs, of values of root mean square 1, by weights of length 1.
  const double of_a = s.preact ? kSafety * u : 0;
  const double of_y = of_a + u * (2 * largest_of_y + added);
  Tolerances t = preact_conv_tolerances(c, inputs, kEpsilon);
  t["y"] = t["y"] + Tolerance{0, of_y};
  t["projected"] = t["projected"] + stored_in(type) + Tolerance{0, of_a};
  if (s.stats) {
    t["y_stats"] = t["y_stats"] + of_statistics(want.at("y_stats"), of_y);
    t["y_stats, own"] = of_own_statistics(want);
  }
  if (s.mode == Mode::eval) return t;
  t["d_weight"] = t["d_weight"] + stored_in(type) + Tolerance{0, std::sqrt(rows_out) * of_a};
  t["d_projection_weight"] = t["d_weight"];
  const double d_activation = std::sqrt(double(s.out_channels) / s.in_channels) * (s.projection ? 2 : 1);
  const double of_d_a = kSafety * u * d_activation;
  const double gain = s.preact ? conditioning_of(inputs, s.mode, s.views).gain : 1;
  t["d_x"] = t["d_x"] + stored_in(type) + Tolerance{0, gain * of_d_a};
  t["d_bn.beta"] = t["d_bn.beta"] + Tolerance{0, std::sqrt(rows_in) * of_d_a};
  t["d_bn.gamma"] = t["d_bn.gamma"] + Tolerance{0, std::sqrt(rows_in) * of_d_a};
  return t;
}

}  // namespace dpll::test
