// Measures times, and computes median, p90 and spread of a set of times.
#pragma once

#include <functional>
#include <vector>

#include "dpll/backend.h"

namespace dpll::bench {

// Seconds of the host's clock from an idle backend to an idle backend. Backend::seconds_of() uses the
// device's own clock if it has one.
double wall_seconds_of(Backend& backend, const std::function<void()>& work);

struct Times {
  double least = 0, median = 0, p90 = 0;
};
// Of at least one time.
Times summary_of(std::vector<double> times);

// A benchmark is measured in several repetitions. The spread of their medians, (largest - smallest) / median,
// is the noise of the machine.
struct Measurement {
  Times seconds;      // of a call, over all repetitions
  double spread = 0;  // NaN of a single repetition
  int repetitions = 0;
  std::int64_t samples = 0;
};
Measurement measurement_of(const std::vector<std::vector<double>>& repetitions);

// If repetitions differ by more, the machine was busy with other programs.
inline constexpr double kBusySpread = 0.1;

}  // namespace dpll::bench
