#include "bench/scaling.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "dpll/core/check.h"
#include "io/csv.h"

namespace dpll::bench {
namespace {

// A limit so many times what was measured leaves no room for it on a linear axis.
constexpr double kFarAbove = 12;
// Limits that come from different measurements of the same thing count as one.
constexpr double kSame = 0.002;

struct Column {
  std::string key;
  std::vector<double> values;
};

std::vector<Column> columns_of(const ScalingCurve& curve) {
  std::vector<Column> columns = {{curve.x_key, curve.x}};
  for (const auto* lines : {&curve.measured, &curve.not_drawn, &curve.limits}) {
    for (const CurveLine& line : *lines) columns.push_back({line.key, line.y});
  }
  if (!curve.spread.empty()) columns.push_back({"spread", curve.spread});
  for (const Column& column : columns) {
    DPLL_CHECK(column.values.size() == curve.x.size(), "curve {}: {} has {} values at {} places", curve.name,
               column.key, column.values.size(), curve.x.size());
  }
  for (const CurveLine& limit : curve.limits) {
    Column share{"percent_of_" + limit.key, {}};
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      const double ratio = curve.measured.front().y[i] / limit.y[i];
      share.values.push_back(100 * (curve.less_is_better ? 1 / ratio : ratio));
    }
    columns.push_back(share);
  }
  return columns;
}

std::string joined(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += fmt::format("{}{:.10g}", text.empty() ? "" : ", ", value);
  return text;
}

}  // namespace

std::vector<double> ScalingCurve::busy_at() const {
  std::vector<double> places;
  for (std::size_t i = 0; i < spread.size(); ++i) {
    if (spread[i] > kBusySpread) places.push_back(x[i]);
  }
  return places;
}

Chart chart_of(const ScalingCurve& curve) {
  columns_of(curve);
  Chart chart;
  chart.title = curve.title;
  chart.subtitle = curve.subtitle;
  if (const std::vector<double> busy = curve.busy_at(); !busy.empty()) {
    chart.subtitle = fmt::format("machine busy at {}; {}", joined(busy), curve.subtitle);
  }
  chart.x.label = curve.x_label;
  chart.x.logarithmic = curve.logarithmic_x;
  chart.x.ticks = curve.x;
  chart.y.label = curve.y_label;
  int grey = 7;  // then black
  double least = INFINITY, most = 0;
  for (const CurveLine& line : curve.measured) {
    chart.series.push_back({.label = line.label, .x = curve.x, .y = line.y, .markers = true});
    for (const double y : line.y) least = std::min(least, y);
  }
  for (const CurveLine& line : curve.limits) {
    const auto [low, high] = std::minmax_element(line.y.begin(), line.y.end());
    most = std::max(most, *high);
    if (*high - *low <= kSame * *high) {
      chart.lines.push_back({line.label, *high});
    } else {
      chart.series.push_back(
          {.label = line.label, .x = curve.x, .y = line.y, .dashed = true, .colour = grey--});
    }
  }
  chart.y.logarithmic = least > 0 && most > kFarAbove * least;
  if (!chart.y.logarithmic) chart.y.min = 0;
  return chart;
}

std::string csv_of(const ScalingCurve& curve) {
  const std::vector<Column> columns = columns_of(curve);
  std::vector<std::string> keys;
  for (const Column& column : columns) keys.push_back(column.key);
  std::string text = csv_line(keys);
  for (std::size_t row = 0; row < curve.x.size(); ++row) {
    std::vector<std::string> fields;
    for (const Column& column : columns) fields.push_back(fmt::format("{:.8g}", column.values[row]));
    text += csv_line(fields);
  }
  return text;
}

std::string json_of(const std::vector<ScalingCurve>& curves) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const ScalingCurve& curve : curves) {
    nlohmann::ordered_json one = {{"name", curve.name},
                                  {"title", curve.title},
                                  {"about", curve.subtitle},
                                  {"busy_at", curve.busy_at()}};
    for (const Column& column : columns_of(curve)) one["columns"][column.key] = column.values;
    all.push_back(one);
  }
  return all.dump(2) + "\n";
}

}  // namespace dpll::bench
