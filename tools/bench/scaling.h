// Scaling curves: what was measured at each place, the limit that belongs to it, and the two as chart, CSV
// and JSON.
#pragma once

#include <string>
#include <vector>

#include "bench/timing.h"
#include "dpll/chart.h"

namespace dpll::bench {

// A quantity at every place of a curve.
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
  bool less_is_better = false;  // a time, whose limit lies below
  std::vector<double> x;
  std::vector<CurveLine> measured, limits;
  std::vector<CurveLine> not_drawn;  // only in the files
  std::vector<double> spread;  // of what was timed in several rounds, as Measurement::spread; else empty

  // Where the rounds lie further apart than kBusySpread.
  std::vector<double> busy_at() const;
};

// Limits are dashed: across the whole chart where they are the same everywhere. The y axis begins at 0; where
// limits lie far above what was measured it is logarithmic, so that both can be read.
Chart chart_of(const ScalingCurve& curve);
// A row for every place: measured, limits, spread, and how far what was measured first comes up to each
// limit, in percent.
std::string csv_of(const ScalingCurve& curve);
// "[...]" of all curves, keys as in the CSV.
std::string json_of(const std::vector<ScalingCurve>& curves);

}  // namespace dpll::bench
