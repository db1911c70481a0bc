#include <cmath>

#include "check/operation_checks.h"

namespace dpll::check {
namespace {

Groups groups_of_x(const BnReluPoolSpec& s) {
  return {s.views, std::int64_t{s.batch} * s.height * s.width, s.channels};
}
Groups groups_of_y(const BnReluPoolSpec& s) {
  return {s.views, std::int64_t{s.batch} * s.out_height() * s.out_width(), s.channels};
}

// Calls body(index into y, index of the first value of its window in x, channel, view) for every value of y.
template <typename Body>
void each_output(const BnReluPoolSpec& s, const Body& body) {
  const int step_h = s.pool == Pool::none ? 1 : s.pool == Pool::max2 ? 2 : s.height;
  const int step_w = s.pool == Pool::none ? 1 : s.pool == Pool::max2 ? 2 : s.width;
  std::size_t y = 0;
  for (int n = 0; n < s.rows(); ++n) {
    for (int oh = 0; oh < s.out_height(); ++oh) {
      for (int ow = 0; ow < s.out_width(); ++ow) {
        const std::int64_t row = (std::int64_t{n} * s.height + oh * step_h) * s.width + ow * step_w;
        for (int c = 0; c < s.channels; ++c, ++y) {
          body(y, static_cast<std::size_t>(row * s.channels + c), c, n / s.batch);
        }
      }
    }
  }
}

// The four values of a window, in row order.
std::size_t in_window(const BnReluPoolSpec& s, std::size_t first, int k) {
  return first + static_cast<std::size_t>((k / 2 * s.width + k % 2) * s.channels);
}

Floats pooled(const BnReluPoolSpec& s, const Floats& a) {
  if (s.pool == Pool::none) return a;
  Floats y(static_cast<std::size_t>(groups_of_y(s).elements()));
  each_output(s, [&](std::size_t at, std::size_t first, int /*channel*/, int /*view*/) {
    if (s.pool == Pool::max2) {
      y[at] = a[first];
      for (int k = 1; k < 4; ++k) {
        const float other = a[in_window(s, first, k)];
        if (other > y[at] || std::isnan(other)) y[at] = other;
      }
      return;
    }
    double sum = 0;
    const int pixels = s.height * s.width;
    for (int p = 0; p < pixels; ++p)
      sum += static_cast<double>(a[first + static_cast<std::size_t>(p * s.channels)]);
    y[at] = static_cast<float>(sum / pixels);
  });
  return y;
}

// The gradient of relu(z). If rounding decides which of two values of a window is the largest, also the
// gradients that each of them may get.
struct Spread {
  Floats d_a, doubtful;
};

Spread spread(const BnReluPoolSpec& s, const BatchNormModel& model, const Floats& d_y) {
  Spread result;
  if (s.pool == Pool::none) {
    result.d_a = d_y;
    return result;
  }
  result.d_a.resize(model.x().size());
  if (s.pool == Pool::global_average) {
    const int pixels = s.height * s.width;
    each_output(s, [&](std::size_t at, std::size_t first, int /*channel*/, int /*view*/) {
      for (int p = 0; p < pixels; ++p) {
        result.d_a[first + static_cast<std::size_t>(p * s.channels)] = d_y[at] / static_cast<float>(pixels);
      }
    });
    return result;
  }
  result.doubtful.resize(model.x().size());
  const Floats& x = model.x();
  each_output(s, [&](std::size_t at, std::size_t first, int channel, int view) {
    const BatchNormModel::Lane lane = model.lane(view, channel);
    std::size_t best = first;
    for (int k = 1; k < 4; ++k) {
      const std::size_t i = in_window(s, first, k);
      if (lane.z(x[i]) > lane.z(x[best])) best = i;
    }
    result.d_a[best] = d_y[at];
    const double largest = lane.z(x[best]), kink = lane.kink(x[best]);
    if (largest < -kink) return;  // all are 0, and no gradient passes
    for (int k = 0; k < 4; ++k) {
      const std::size_t i = in_window(s, first, k);
      // Equal values do not depend on rounding: the first of them gets the gradient.
      if (x[i] == x[best] || largest - lane.z(x[i]) > kink + lane.kink(x[i])) continue;
      result.doubtful[i] = result.doubtful[best] = d_y[at];
    }
  });
  return result;
}

}  // namespace

void check_call(const CheckContext& context, const RecordedCall<BnReluPoolSpec, BnReluPoolForward>& call) {
  const BnReluPoolSpec& s = call.spec;
  const Recording &before = call.before, &after = call.after;
  const BatchNormModel model(groups_of_x(s), before["x"], before["x_stats"], before["bn.gamma"],
                             before["bn.beta"]);
  const Floats want = pooled(s, model.activation());
  const Groups groups = groups_of_y(s);
  const Doubles reach = model.reach();
  Doubles error = root_mean_squares(want, groups);
  for (std::size_t i = 0; i < error.size(); ++i) {
    error[i] = context.arithmetic.of_storing(error[i]) + kAddition * kFloatRoundoff * reach[i];
  }
  context.report("y", after.shape("y"), compare_groups(after["y"], want, groups, error));
  check_running_statistics(context, model.groups(), before, after);
}

void check_call(const CheckContext& context, const RecordedCall<BnReluPoolSpec, BnReluPoolBackward>& call) {
  const BnReluPoolSpec& s = call.spec;
  const Recording &before = call.before, &after = call.after;
  const BatchNormModel model(groups_of_x(s), before["x"], before["x_stats"], before["bn.gamma"],
                             before["bn.beta"]);
  const Spread d = spread(s, model, before["d_y"]);
  Doubles error = root_mean_squares(d.d_a, model.groups());
  for (double& of_d_a : error) of_d_a *= 2 * kFloatRoundoff;
  check_batch_norm_gradient(context, model, model.gradient(d.d_a, 0, d.doubtful), error, {}, after);
}

}  // namespace dpll::check
