// Round tick values for an axis, and their labels.
#pragma once

#include <string>
#include <vector>

namespace dpll::report {

// The values that an axis can show. They are far enough from the limits of double that nothing overflows.
constexpr double kLargest = 1e300;
constexpr double kSmallestLog = 1e-100, kLargestLog = 1e100;

struct Ticks {
  double low = 0, high = 1;         // limits of the axis
  std::vector<double> major;        // ascending, within the limits
  std::vector<std::string> labels;  // of major, the same length
  std::vector<double> minor;        // unlabelled, logarithmic axes only
  std::string multiplier;           // "×10⁻⁵" if the labels must be multiplied by it, else empty
};

// Multiples of 1, 2, 2.5 or 5 times a power of ten, at most `most` of them (at least 3 are allowed), the
// first at or below low and the last at or above high. `integers`: no steps below 1. Low and high are at most
// kLargest in magnitude; limits that are equal (or too close for a double to tell ticks apart) are widened
// first.
Ticks linear_ticks(double low, double high, int most, bool integers = false);
// Exactly `intervals` steps, so that the axis can use the grid lines of another one; this wastes more space.
Ticks linear_ticks_with(double low, double high, int intervals);
// For a logarithmic axis, kSmallestLog <= low <= high <= kLargestLog: powers of ten (every n-th when there
// are many), 1-2-5 steps below three decades, linear steps below half a decade.
Ticks log_ticks(double low, double high, int most);
// Sets the limits to [low, high] and drops the ticks outside.
Ticks cropped(Ticks ticks, double low, double high);

}  // namespace dpll::report
