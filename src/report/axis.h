// From the values of a chart's series to the limits, ticks and pixels of its axes.
#pragma once

#include "dpll/chart.h"
#include "report/canvas.h"
#include "report/ticks.h"

namespace dpll::report {

// Whether an axis can show the value: finite, not absurdly large, and positive on a logarithmic axis.
bool showable(const Axis& axis, double value);

struct Range {  // of values; empty as long as low > high
  double low = kLargest, high = -kLargest;
  bool empty() const { return low > high; }
  void include(double value);
};

struct Ranges {
  Range x, left, right;
};
// Of all points whose coordinates both can be shown, and of the horizontal lines.
Ranges ranges(const Chart& chart);

// Ticks for the range, an empty one becoming a default; limits set in `axis` are kept exactly. `snug`: where
// the next round tick lies far beyond the data the axis ends with the data instead.
Ticks axis_ticks(const Axis& axis, const Range& range, int most, bool snug);
// For the right axis beside a linear left one: with as many steps as `left` has, to share its grid lines,
// unless that wastes too much.
Ticks right_axis_ticks(const Axis& axis, const Range& range, int most, const Ticks& left);

// Values to pixels.
struct Scale {
  double low = 0, high = 1;
  bool logarithmic = false;
  double from = 0, to = 1;  // pixels of low and high

  // Held within a million pixels of the axis, so that later arithmetic stays exact enough.
  double operator()(double value) const;
};

}  // namespace dpll::report
