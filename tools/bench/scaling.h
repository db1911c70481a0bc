// Scaling curves: the measured value and the limit at each point, as chart, CSV and JSON.
#pragma once

#include <string>
#include <vector>

#include "bench/timing.h"
#include "dpll/chart.h"

namespace dpll::bench {

// A quantity at every point of a curve.
struct CurveLine {
  std::string key;    // "images_per_s", column of the CSV
  std::string label;  // in the legend
  std::vector<double> y;
};

struct ScalingCurve {
  std::string name;  // "batch": of its files
  std::string title, subtitle;
  std::string x_key, x_label, y_label;
  bool logarithmic_x = false;
  bool less_is_better = false;  // a time, whose limit is below
  std::vector<double> x;
  std::vector<CurveLine> measured, limits;
  std::vector<CurveLine> not_drawn;  // only in the files
  std::vector<double> spread;        // of values timed in several rounds, as Measurement::spread; else empty

  // The points whose rounds differ by more than kBusySpread.
  std::vector<double> busy_at() const;
};

// Limits are dashed; a constant limit is drawn across the whole chart. The y axis begins at 0. If limits are
// far above the measured values, it is logarithmic, so that both can be read.
Chart chart_of(const ScalingCurve& curve);
// One row per point: measured values, limits, spread, and the first measured value in percent of each limit.
std::string csv_of(const ScalingCurve& curve);
// "[...]" of all curves, keys as in the CSV.
std::string json_of(const std::vector<ScalingCurve>& curves);

}  // namespace dpll::bench
