#include <cmath>

#include "check/operation_checks.h"

namespace dpll::check {
namespace {

// Sums of squares of the columns (or, with `rows`, the rows) of a matrix of `columns` columns.
Doubles squares_of(const Floats& matrix, int columns, bool rows) {
  const std::size_t width = size(columns), height = matrix.size() / width;
  Doubles squares(rows ? height : width);
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    const double value = static_cast<double>(matrix[i]);
    squares[rows ? i / width : i % width] += value * value;
  }
  return squares;
}

// Norms of the sums over k of left[v, k] right[k, j], for mean squares `left` [V, k] and squares of `right`,
// which is [j, k] or, with `by_rows`, [k, j].
Doubles norms(const Doubles& left, const Floats& right, std::size_t views, std::size_t length, bool by_rows) {
  const std::size_t columns = right.size() / length;
  Doubles result(views * columns);
  for (std::size_t view = 0; view < views; ++view) {
    for (std::size_t i = 0; i < right.size(); ++i) {
      const std::size_t k = by_rows ? i / columns : i % length, j = by_rows ? i % columns : i / length;
      const double value = static_cast<double>(right[i]);
      result[view * columns + j] += left[view * length + k] * value * value;
    }
  }
  for (double& norm : result) norm = std::sqrt(norm);
  return result;
}

Doubles mean_squares(const Floats& values, const Groups& groups) {
  Doubles result = moments_of(values, groups).squares;
  for (double& squares : result) squares /= static_cast<double>(groups.rows);
  return result;
}

}  // namespace

void check_call(const CheckContext& context, const RecordedCall<LinearSpec, LinearForward>& call) {
  const LinearSpec& s = call.spec;
  const Recording &before = call.before, &after = call.after;
  const Arithmetic& arithmetic = context.arithmetic;
  const Groups groups{s.views, s.batch, s.out_features};
  Floats want = multiply(context.cpu, s, before["x"], before["weight"]);
  const Doubles product = root_mean_squares(want, groups);
  Doubles error = norms(mean_squares(before["x"], {s.views, s.batch, s.in_features}), before["weight"],
                        size(s.views), size(s.in_features), false);
  for (std::size_t i = 0; i < want.size(); ++i) want[i] += before["bias"][i % size(s.out_features)];
  const Doubles result = root_mean_squares(want, groups);
  for (std::size_t i = 0; i < error.size(); ++i) {
    error[i] = arithmetic.of_sum(s.in_features, error[i], product[i]) + arithmetic.of_storing(product[i]) +
               arithmetic.of_storing(result[i]);
  }
  context.report("y", after.shape("y"), compare_groups(after["y"], want, groups, error));
  if (s.stats) check_statistics(context, groups, after["y"], after);
}

void check_call(const CheckContext& context, const RecordedCall<LinearSpec, LinearBackward>& call) {
  const LinearSpec& s = call.spec;
  const Recording &before = call.before, &after = call.after;
  const Arithmetic& arithmetic = context.arithmetic;
  const Floats &x = before["x"], &d_y = before["d_y"];
  const Groups groups{s.views, s.batch, s.out_features};
  const LinearGradients want = linear_gradients(context.cpu, s, x, before["weight"], d_y);

  const Doubles of_row = squares_of(x, s.in_features, true);
  const Groups weight{s.out_features, s.in_features, 1, "output channel"};
  const Doubles of_weight = root_mean_squares(want.d_weight, weight);
  Doubles error(size(s.out_features));
  for (std::size_t i = 0; i < d_y.size(); ++i) {
    const double d = static_cast<double>(d_y[i]);
    error[i % error.size()] += d * d * of_row[i / error.size()] / s.in_features;
  }
  for (std::size_t o = 0; o < error.size(); ++o) {
    error[o] =
        arithmetic.of_sum(s.rows(), std::sqrt(error[o]), of_weight[o]) + arithmetic.of_storing(of_weight[o]);
  }
  context.report("d_weight", after.shape("d_weight"),
                 compare_groups(after["d_weight"], want.d_weight, weight, error));
  check_bias_gradient(context, groups, d_y, after);
  if (!s.input_gradient) return;

  const Groups inputs{s.views, s.batch, s.in_features};
  const Doubles result = root_mean_squares(want.d_x, inputs);
  error = norms(mean_squares(d_y, groups), before["weight"], size(s.views), size(s.out_features), true);
  for (std::size_t i = 0; i < error.size(); ++i) {
    error[i] = arithmetic.of_sum(s.out_features, error[i], result[i]) + arithmetic.of_storing(result[i]);
  }
  context.report("d_x", after.shape("d_x"), compare_groups(after["d_x"], want.d_x, inputs, error));
}

}  // namespace dpll::check
