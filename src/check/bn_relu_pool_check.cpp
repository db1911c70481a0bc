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

// body(index into y, index of the first value of its window in x, channel, view) for every value of y.
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

// Of the four values of a window, in row order.
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

// The gradient of relu(z) and, where two values of a window may be taken for its largest, the gradients that
// either may get.
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
      // Equal values are no matter of rounding: the first of them has the gradient.
      if (x[i] == x[best] || largest - lane.z(x[i]) > kink + lane.kink(x[i])) continue;
      result.doubtful[i] = result.doubtful[best] = d_y[at];
    }
  });
  return result;
}

// ---- with a shortcut

const NormNames kShortcutNames{"shortcut", "shortcut_bn"};

BatchNormModel model_of(const BnReluPoolSpec& s, const Recording& before, const NormNames& names) {
  return {groups_of_x(s), before[names.x], before[names.x + "_stats"], before[names.bn + ".gamma"],
          before[names.bn + ".beta"]};
}

// body(index into x, index into s) for the values of a subsampled shortcut that are added.
template <typename Body>
void each_subsampled(const BnReluPoolSpec& s, const Body& body) {
  std::int64_t pixel = 0;
  for (int n = 0; n < s.rows(); ++n) {
    for (int h = 0; h < s.height; ++h) {
      for (int w = 0; w < s.width; ++w, ++pixel) {
        const std::int64_t from =
            ((std::int64_t{n} * s.shortcut_height + 2 * h) * s.shortcut_width + 2 * w) * s.shortcut_channels;
        for (int c = 0; c < s.shortcut_channels; ++c) {
          body(size(pixel * s.channels + s.shortcut_pad() + c), size(from + c));
        }
      }
    }
  }
}

// bn(x) + shortcut, and how far its terms reach before they cancel; as [V*B, H, W, C].
struct JoinModel {
  Doubles z, reach;

  JoinModel(const BnReluPoolSpec& s, const Recording& before)
      : z(before["x"].size()), reach(before["x"].size()) {
    add(model_of(s, before, {}), before["x"]);
    const Floats& shortcut = before["shortcut"];
    if (s.shortcut == Shortcut::normalised) {
      add(model_of(s, before, kShortcutNames), shortcut);
    } else if (s.shortcut == Shortcut::identity) {
      for (std::size_t i = 0; i < z.size(); ++i) add(i, shortcut[i]);
    } else {
      each_subsampled(s, [&](std::size_t of_x, std::size_t of_s) { add(of_x, shortcut[of_s]); });
    }
  }
  bool on_kink(std::size_t i) const { return std::abs(z[i]) <= kKink * kFloatRoundoff * reach[i]; }

 private:
  void add(std::size_t i, float value) {
    z[i] += static_cast<double>(value);
    reach[i] += std::abs(static_cast<double>(value));
  }
  void add(const BatchNormModel& model, const Floats& x) {
    const Groups& groups = model.groups();
    each_strip(groups, [&](std::int64_t view, std::int64_t first, std::int64_t channels) {
      for (std::int64_t c = first; c < first + channels; ++c) {
        const BatchNormModel::Lane lane = model.lane(view, c);
        for (std::int64_t r = 0; r < groups.rows; ++r) {
          const std::size_t i = groups.at(view, r, c);
          z[i] += lane.z(x[i]);
          reach[i] += lane.reach(x[i]);
        }
      }
    });
  }
};

void check_join(const CheckContext& context, const RecordedCall<BnReluPoolSpec, BnReluPoolForward>& call) {
  const BnReluPoolSpec& s = call.spec;
  const Recording &before = call.before, &after = call.after;
  const JoinModel model(s, before);
  const Groups groups = groups_of_x(s);
  Floats want(model.z.size());
  for (std::size_t i = 0; i < want.size(); ++i)
    want[i] = model.z[i] < 0 ? 0.0F : static_cast<float>(model.z[i]);
  Doubles error = root_mean_squares(want, groups);
  const Doubles reach = root_mean_squares(Floats(model.reach.begin(), model.reach.end()), groups);
  for (std::size_t i = 0; i < error.size(); ++i) {
    error[i] = context.arithmetic.of_storing(error[i]) + kAddition * kFloatRoundoff * reach[i];
  }
  context.report("y", after.shape("y"), compare_groups(after["y"], want, groups, error));
  check_running_statistics(context, groups, before, after);
  if (s.shortcut == Shortcut::normalised) {
    check_running_statistics(context, groups, before, after, kShortcutNames);
  }
}

void check_join(const CheckContext& context, const RecordedCall<BnReluPoolSpec, BnReluPoolBackward>& call) {
  const BnReluPoolSpec& s = call.spec;
  const Recording &before = call.before, &after = call.after;
  const JoinModel join(s, before);
  const Floats& d_y = before["d_y"];
  Floats d_z(d_y.size()), doubtful(d_y.size());
  for (std::size_t i = 0; i < d_y.size(); ++i) {
    d_z[i] = join.z[i] > 0 ? d_y[i] : 0;
    doubtful[i] = join.on_kink(i) ? d_y[i] : 0;
  }
  const Groups groups = groups_of_x(s);
  Doubles error = root_mean_squares(d_z, groups);
  for (double& of_d_z : error) of_d_z *= 2 * kFloatRoundoff;
  const auto check_norm = [&](const NormNames& names) {
    const BatchNormModel model = model_of(s, before, names);
    check_batch_norm_gradient(context, model, model.gradient_of(d_z, doubtful), error, {}, after, names);
  };
  check_norm({});
  if (s.shortcut == Shortcut::normalised) {
    check_norm(kShortcutNames);
    return;
  }
  Floats d_s = d_z, may_differ = doubtful;
  if (s.shortcut == Shortcut::subsampled) {
    d_s.assign(after["d_shortcut"].size(), 0);
    may_differ = d_s;
    each_subsampled(s, [&](std::size_t of_x, std::size_t of_s) {
      d_s[of_s] = d_z[of_x];
      may_differ[of_s] = doubtful[of_x];
    });
  }
  const Shape shape = after.shape("d_shortcut");
  context.report("d_shortcut", shape, compare_elements(after["d_shortcut"], d_s, shape, [&](std::int64_t i) {
                   return std::abs(static_cast<double>(may_differ[size(i)]));
                 }));
}

// ---- without batch norm

void check_plain(const CheckContext& context, const RecordedCall<BnReluPoolSpec, BnReluPoolForward>& call) {
  const BnReluPoolSpec& s = call.spec;
  const Floats& x = call.before["x"];
  Floats a = x;
  if (s.relu) {
    for (float& value : a) value = value < 0 ? 0 : value;
  }
  const Floats want = pooled(s, a);
  const Groups groups = groups_of_y(s);
  Doubles error = root_mean_squares(want, groups);
  const Doubles reach = root_mean_squares(x, groups_of_x(s));
  for (std::size_t i = 0; i < error.size(); ++i) {
    error[i] = s.relu ? 0 : context.arithmetic.of_storing(error[i]) + kAddition * kFloatRoundoff * reach[i];
  }
  const Shape shape = call.after.shape("y");
  context.report("y", shape, compare_groups(call.after["y"], want, groups, error));
}

void check_plain(const CheckContext& context, const RecordedCall<BnReluPoolSpec, BnReluPoolBackward>& call) {
  const BnReluPoolSpec& s = call.spec;
  const Floats &x = call.before["x"], &d_y = call.before["d_y"];
  Floats want(x.size());
  each_output(s, [&](std::size_t at, std::size_t first, int /*channel*/, int /*view*/) {
    const int pixels = s.relu ? 1 : s.height * s.width;
    for (int p = 0; p < pixels; ++p) {
      const std::size_t i = first + size(p * s.channels);
      want[i] = !s.relu || x[i] > 0 ? d_y[at] / static_cast<float>(pixels) : 0;
    }
  });
  const Groups groups = groups_of_x(s);
  Doubles error = root_mean_squares(want, groups);
  for (double& of_d_x : error) {
    of_d_x = s.relu ? 0 : context.arithmetic.of_storing(of_d_x) + 2 * kFloatRoundoff * of_d_x;
  }
  context.report("d_x", call.after.shape("d_x"), compare_groups(call.after["d_x"], want, groups, error));
}

}  // namespace

void check_call(const CheckContext& context, const RecordedCall<BnReluPoolSpec, BnReluPoolForward>& call) {
  const BnReluPoolSpec& s = call.spec;
  if (!s.batch_norm) return check_plain(context, call);
  if (s.shortcut != Shortcut::none) return check_join(context, call);
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
  if (!s.batch_norm) return check_plain(context, call);
  if (s.shortcut != Shortcut::none) return check_join(context, call);
  const Recording &before = call.before, &after = call.after;
  const BatchNormModel model(groups_of_x(s), before["x"], before["x_stats"], before["bn.gamma"],
                             before["bn.beta"]);
  const Spread d = spread(s, model, before["d_y"]);
  Doubles error = root_mean_squares(d.d_a, model.groups());
  for (double& of_d_a : error) of_d_a *= 2 * kFloatRoundoff;
  check_batch_norm_gradient(context, model, model.gradient(d.d_a, 0, d.doubtful), error, {}, after);
}

}  // namespace dpll::check
