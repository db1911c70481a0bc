#include "check/measure.h"

#include <cmath>

#include "selftest/compare.h"

namespace dpll::check {
namespace {

void check_sizes(const Floats& values, const Groups& groups) {
  DPLL_CHECK(static_cast<std::int64_t>(values.size()) == groups.elements(), "{} values in groups of {}",
             values.size(), groups.elements());
}

}  // namespace

Moments moments_of(const Floats& values, const Groups& groups) {
  check_sizes(values, groups);
  Moments result{Doubles(static_cast<std::size_t>(groups.count())),
                 Doubles(static_cast<std::size_t>(groups.count()))};
  each_strip(groups, [&](std::int64_t outer, std::int64_t first, std::int64_t channels) {
    const float* row = values.data() + outer * groups.rows * groups.channels + first;
    double* const sum = result.sum.data() + outer * groups.channels + first;
    double* const squares = result.squares.data() + outer * groups.channels + first;
    for (std::int64_t r = 0; r < groups.rows; ++r, row += groups.channels) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const double value = static_cast<double>(row[c]);
        sum[c] += value;
        squares[c] += value * value;
      }
    }
  });
  return result;
}

Doubles root_mean_squares(const Floats& values, const Groups& groups) {
  Doubles result = moments_of(values, groups).squares;
  for (double& value : result) value = std::sqrt(value / static_cast<double>(groups.rows));
  return result;
}

Outcome compare_groups(const Floats& got, const Floats& want, const Groups& groups, const Doubles& error,
                       const std::vector<std::uint8_t>& left_out) {
  check_sizes(got, groups);
  check_sizes(want, groups);
  struct Group {
    double difference = 0, got = 0, want = 0, count = 0;
  };
  std::vector<Group> all(static_cast<std::size_t>(groups.count()));
  each_strip(groups, [&](std::int64_t outer, std::int64_t first, std::int64_t channels) {
    std::int64_t at = outer * groups.rows * groups.channels + first;
    Group* const group = all.data() + outer * groups.channels + first;
    for (std::int64_t r = 0; r < groups.rows; ++r, at += groups.channels) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto i = static_cast<std::size_t>(at + c);
        const double mine = static_cast<double>(got[i]), right = static_cast<double>(want[i]);
        const bool counts = (left_out.empty() || left_out[i] == 0) || !std::isfinite(mine);
        if (!counts) continue;
        group[c].difference += (mine - right) * (mine - right);
        group[c].got += mine * mine;
        group[c].want += right * right;
        group[c].count += 1;
      }
    }
  });
  Outcome outcome;
  outcome.worst = -1;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Group& g = all[i];
    if (g.count == 0) continue;
    const double off = std::sqrt(g.difference / g.count),
                 bound = kSafety * error[i] * (1 + 3 / std::sqrt(g.count));
    const double units = off == 0 ? 0 : off / bound;
    const double worst = std::isfinite(units) ? units : HUGE_VAL;
    if (worst <= outcome.worst) continue;
    outcome = {worst, "", std::sqrt(g.got / g.count), std::sqrt(g.want / g.count)};
    const auto at = static_cast<std::int64_t>(i);
    if (groups.outer > 1) outcome.where = fmt::format("{} {}", groups.outer_name, at / groups.channels);
    if (groups.channels > 1) {
      outcome.where += fmt::format("{}channel {}", outcome.where.empty() ? "" : ", ", at % groups.channels);
    }
  }
  outcome.worst = std::max(outcome.worst, 0.0);
  return outcome;
}

Outcome compare_elements(const Floats& got, const Floats& want, const Shape& shape,
                         const std::function<double(std::int64_t)>& allowed) {
  DPLL_CHECK(got.size() == want.size() && static_cast<std::int64_t>(got.size()) == shape.elements(),
             "{} and {} values of {}", got.size(), want.size(), shape.to_string());
  Outcome outcome;
  outcome.worst = -1;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double mine = static_cast<double>(got[i]), right = static_cast<double>(want[i]);
    const double off = std::abs(mine - right);
    const double units = off == 0 ? 0 : off / allowed(static_cast<std::int64_t>(i));
    const double worst = std::isfinite(units) ? units : HUGE_VAL;
    if (worst > outcome.worst) {
      outcome = {worst, selftest::coordinate(shape, static_cast<std::int64_t>(i)), mine, right};
    }
  }
  outcome.worst = std::max(outcome.worst, 0.0);
  return outcome;
}

}  // namespace dpll::check
