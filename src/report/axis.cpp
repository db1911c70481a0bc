#include "report/axis.h"

#include <algorithm>
#include <cmath>

#include "dpll/core/check.h"

namespace dpll::report {
namespace {

// Share of the data's extent that a snug axis may add at one end to reach a round tick.
constexpr double kSnugWaste = 0.08;
// The factor by which the right axis may be too long so that both axes share grid lines.
constexpr double kSharedGridWaste = 1.35;

bool fixed(const Axis& axis, double limit) {
  return showable(axis, limit);
}

Range with_limits(const Axis& axis, Range range) {
  DPLL_CHECK(!(axis.min >= axis.max), "axis \"{}\" from {} to {}", axis.label, axis.min, axis.max);
  if (range.empty()) range = axis.logarithmic ? Range{1, 10} : Range{0, 1};
  if (fixed(axis, axis.min)) range = {axis.min, std::max(axis.min, range.high)};
  if (fixed(axis, axis.max)) range = {std::min(axis.max, range.low), axis.max};
  return range;
}

double position(const Axis& axis, double value) {
  return axis.logarithmic ? std::log10(value) : value;
}

// The requested ticks, as many of them as there is space for.
Ticks chosen_ticks(const Axis& axis, Ticks round, int most) {
  const std::size_t count = axis.ticks.size(), room = static_cast<std::size_t>(std::max(1, most));
  const std::size_t every = (count + room - 1) / room;
  round.major.clear();
  round.labels.clear();
  round.minor.clear();
  round.multiplier.clear();
  for (std::size_t i = 0; i < count; i += every) {
    DPLL_CHECK(showable(axis, axis.ticks[i]) && (i == 0 || axis.ticks[i] > axis.ticks[i - every]),
               "axis \"{}\" with a tick at {}", axis.label, axis.ticks[i]);
    round.major.push_back(axis.ticks[i]);
    round.labels.push_back(fmt::format("{:.10g}", axis.ticks[i]));
  }
  return round;
}

}  // namespace

bool showable(const Axis& axis, double value) {
  if (axis.logarithmic) return value >= kSmallestLog && value <= kLargestLog;
  return value >= -kLargest && value <= kLargest;  // false for NaN
}

void Range::include(double value) {
  low = std::min(low, value);
  high = std::max(high, value);
}

Ranges ranges(const Chart& chart) {
  Ranges all;
  for (const Series& series : chart.series) {
    DPLL_CHECK(series.x.size() == series.y.size(), "series \"{}\" has {} x and {} y values", series.label,
               series.x.size(), series.y.size());
    const Axis& axis = series.right_axis ? chart.y_right : chart.y;
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!showable(chart.x, series.x[i]) || !showable(axis, series.y[i])) continue;
      all.x.include(series.x[i]);
      (series.right_axis ? all.right : all.left).include(series.y[i]);
    }
  }
  for (const HorizontalLine& line : chart.lines) {
    if (showable(chart.y, line.y)) all.left.include(line.y);
  }
  return all;
}

Ticks axis_ticks(const Axis& axis, const Range& data, int most, bool snug) {
  const Range range = with_limits(axis, data);
  Ticks ticks = axis.logarithmic ? log_ticks(range.low, range.high, most)
                                 : linear_ticks(range.low, range.high, most, axis.integer_ticks);
  double low = ticks.low, high = ticks.high;
  if (!axis.ticks.empty()) {
    ticks = chosen_ticks(axis, std::move(ticks), most);
    if (range.low < range.high) {
      low = range.low;
      high = range.high;
    }
  } else if (snug && range.low < range.high) {
    const double first = position(axis, range.low), last = position(axis, range.high);
    const double spare = (last - first) * kSnugWaste;
    if (first - position(axis, low) > spare) low = range.low;
    if (position(axis, high) - last > spare) high = range.high;
  }
  if (fixed(axis, axis.min)) low = axis.min;
  if (fixed(axis, axis.max)) high = axis.max;
  if (!(low < high)) {  // all data are beyond the limit that is set
    if (fixed(axis, axis.min)) {
      high = axis.logarithmic ? low * 10 : low + std::max(1.0, std::abs(low));
    } else {
      low = axis.logarithmic ? high / 10 : high - std::max(1.0, std::abs(high));
    }
  }
  return cropped(std::move(ticks), low, high);
}

Ticks right_axis_ticks(const Axis& axis, const Range& data, int most, const Ticks& left) {
  Ticks own = axis_ticks(axis, data, most, false);
  const int intervals = static_cast<int>(left.major.size()) - 1;
  const bool shareable =
      !axis.logarithmic && intervals > 1 && left.major.front() == left.low && left.major.back() == left.high;
  if (!shareable) return own;
  const Range range = with_limits(axis, data);
  Ticks shared = linear_ticks_with(range.low, range.high, intervals);
  const bool keeps_limits = (!fixed(axis, axis.min) || shared.low == axis.min) &&
                            (!fixed(axis, axis.max) || shared.high == axis.max);
  return keeps_limits && shared.high - shared.low <= kSharedGridWaste * (own.high - own.low) ? shared : own;
}

double Scale::operator()(double value) const {
  const double share =
      logarithmic ? std::log10(value / low) / std::log10(high / low) : (value - low) / (high - low);
  return std::clamp(from + share * (to - from), std::min(from, to) - 1e6, std::max(from, to) + 1e6);
}

}  // namespace dpll::report
