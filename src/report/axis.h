// Computes the limits, ticks and pixels of the axes of a chart from the values of its series.
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
// The range of all points whose two coordinates can be shown, and of the horizontal lines.
Ranges ranges(const Chart& chart);

// Ticks for the range; an empty range becomes a default one. Limits set in `axis` are kept exactly. `snug`:
// if the next round tick is far beyond the data, the axis ends with the data.
Ticks axis_ticks(const Axis& axis, const Range& range, int most, bool snug);
// For the right axis of a chart with a linear left axis: as many steps as `left`, so that both share the grid
// lines, unless that wastes too much space.
Ticks right_axis_ticks(const Axis& axis, const Range& range, int most, const Ticks& left);

// Values to pixels.
struct Scale {
  double low = 0, high = 1;
  bool logarithmic = false;
  double from = 0, to = 1;  // pixels of low and high

  // Limited to a million pixels from the axis, so that later arithmetic stays exact enough.
  double operator()(double value) const;
};

}  // namespace dpll::report
