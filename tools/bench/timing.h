// Taking time, and what a set of times says.
#pragma once

#include <functional>
#include <vector>

#include "dpll/backend.h"

namespace dpll::bench {

// Seconds of the host's clock from an idle backend to an idle backend. Backend::seconds_of() is the device's
// own clock, where it has one.
double wall_seconds_of(Backend& backend, const std::function<void()>& work);

struct Times {
  double least = 0, median = 0, p90 = 0;
};
// Of at least one time.
Times summary_of(std::vector<double> times);

// A benchmark is measured in several repetitions. How far their medians lie apart, (most - least) / median,
// is what the machine adds: its noise.
struct Measurement {
  Times seconds;      // of a call, over all repetitions
  double spread = 0;  // NaN of a single repetition
  int repetitions = 0;
  std::int64_t samples = 0;
};
Measurement measurement_of(const std::vector<std::vector<double>>& repetitions);

// Repetitions that differ by more say that the machine was busy with something else.
inline constexpr double kBusySpread = 0.1;

}  // namespace dpll::bench
