#include "dpll/run_charts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <string_view>

#include "dpll/core/check.h"

namespace dpll {
namespace {

// The name of a column of metrics.csv in a chart. `colour` is the same in every chart of a run.
struct Metric {
  const char* column;
  const char* label;
  int colour;
  bool dashed;
};

constexpr Metric kLosses[] = {
    {"train_loss", "train total", 0, false},
    {"supervised_loss", "train supervised", 2, false},
    {"consistency_loss", "train consistency", 4, false},
    {"validation_loss", "validation", 3, false},
    {"test_loss", "test", 1, false},
};
constexpr Metric kAccuracies[] = {
    {"test_accuracy", "test", 1, false},
    {"ema_test_accuracy", "test, averaged weights", 6, false},
    {"validation_accuracy", "validation", 3, false},
    {"pseudo_label_accuracy", "pseudo-labels", 2, false},
    {"covering_rate", "covering rate", 4, true},
};

std::optional<std::size_t> column_index(const History& history, std::string_view column) {
  const auto found = std::find(history.columns.begin(), history.columns.end(), column);
  if (found == history.columns.end()) return std::nullopt;
  return static_cast<std::size_t>(found - history.columns.begin());
}

bool is_fraction(std::string_view column) {
  return column.ends_with("_accuracy") || column == "covering_rate" || column == "target_change";
}

// The existing values against the epoch (or the row number if the epoch is missing). Empty fields do not
// break the line, because a metric that is measured every fifth epoch has them.
Series series_of(const History& history, std::string_view column, const std::string& label) {
  Series series;
  series.label = label;
  const auto y = column_index(history, column), epoch = column_index(history, "epoch");
  if (!y) return series;
  for (std::size_t i = 0; i < history.rows.size(); ++i) {
    const std::vector<double>& row = history.rows[i];
    DPLL_CHECK(row.size() == history.columns.size(), "row {} of a history has {} of {} columns", i,
               row.size(), history.columns.size());
    if (std::isnan(row[*y])) continue;
    series.x.push_back(epoch ? row[*epoch] : static_cast<double>(i + 1));
    series.y.push_back(row[*y] * (is_fraction(column) ? 100 : 1));
  }
  return series;
}

template <std::size_t count>
std::vector<Series> series_of(const History& history, const Metric (&metrics)[count]) {
  std::vector<Series> all;
  for (const Metric& metric : metrics) {
    Series series = series_of(history, metric.column, metric.label);
    if (series.y.empty()) continue;
    series.colour = metric.colour;
    series.dashed = metric.dashed;
    all.push_back(std::move(series));
  }
  return all;
}

// "after epoch 6: train total 0.610 · test 0.430 (epoch 5)"
std::string last_values(const std::vector<Series>& all, std::string_view format) {
  if (all.empty()) return "";
  double last = 0;
  for (const Series& series : all) last = std::max(last, series.x.back());
  std::string text = fmt::format("after epoch {}: ", last);
  for (const Series& series : all) {
    if (&series != &all.front()) text += "  ·  ";
    text += series.label + " " + fmt::format(fmt::runtime(format), series.y.back());
    if (series.x.back() != last) text += fmt::format(" (epoch {})", series.x.back());
  }
  return text;
}

Chart chart_by_epoch(const std::string& title) {
  Chart chart;
  chart.title = title;
  chart.x.label = "epoch";
  chart.x.integer_ticks = true;
  return chart;
}

// Losses that fall by orders of magnitude need a logarithmic axis.
bool spans_orders_of_magnitude(const std::vector<Series>& all) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const Series& series : all) {
    for (const double y : series.y) {
      if (!std::isfinite(y)) continue;
      low = std::min(low, y);
      high = std::max(high, y);
    }
  }
  return low > 0 && high >= 1000 * low;
}

// A step schedule usually consists of powers of ten.
bool is_steep_staircase(const std::vector<double>& values) {
  const std::set<double> levels(values.begin(), values.end());
  return levels.size() > 1 && levels.size() <= 6 && values.size() >= 4 * levels.size() &&
         *levels.begin() > 0 && *levels.rbegin() >= 20 * *levels.begin();
}

Chart loss_chart(const History& history, const std::string& run_name) {
  Chart chart = chart_by_epoch(run_name + ": loss");
  chart.series = series_of(history, kLosses);
  chart.subtitle = last_values(chart.series, "{:#.3g}");
  chart.y.label = "loss (nats)";
  chart.y.logarithmic = spans_orders_of_magnitude(chart.series);
  return chart;
}

Chart accuracy_chart(const History& history, const std::string& run_name) {
  Chart chart = chart_by_epoch(run_name + ": accuracy");
  chart.series = series_of(history, kAccuracies);
  chart.subtitle = last_values(chart.series, "{:.2f} %");
  chart.y.label = "accuracy, covering rate (%)";
  return chart;
}

Chart schedule_chart(const History& history, const std::string& run_name) {
  Chart chart = chart_by_epoch(run_name + ": schedule");
  // Both are often near the top; the one in front is dashed so that the other remains visible.
  Series lambda = series_of(history, "lambda", "consistency weight λ");
  lambda.right_axis = lambda.dashed = true;
  lambda.colour = 1;
  Series rate = series_of(history, "lr", "learning rate");
  rate.colour = 0;
  chart.y.logarithmic = is_steep_staircase(rate.y);
  chart.series = {std::move(lambda), std::move(rate)};
  chart.y.label = "learning rate";
  if (!chart.y.logarithmic) chart.y.min = 0;
  chart.y_right.min = 0;
  chart.y_right.label = "consistency weight λ";
  return chart;
}

// "test_accuracy" -> "test accuracy (%)"
std::string axis_label(std::string column) {
  std::replace(column.begin(), column.end(), '_', ' ');
  return column;
}

}  // namespace

void draw_run_charts(const History& history, const std::string& run_name, const std::string& folder) {
  write_png(loss_chart(history, run_name), folder + "/loss.png");
  write_png(accuracy_chart(history, run_name), folder + "/accuracy.png");
  write_png(schedule_chart(history, run_name), folder + "/schedule.png");
}

Chart compare_runs_chart(const std::vector<std::pair<std::string, History>>& runs,
                         const std::string& y_column) {
  Chart chart = chart_by_epoch(axis_label(y_column));
  if (runs.size() > 1) chart.title += fmt::format(" of {} runs", runs.size());
  chart.y.label = axis_label(y_column) + (is_fraction(y_column) ? " (%)" : "");
  for (const auto& [name, history] : runs) {
    if (!column_index(history, y_column)) {
      fail(ExitCode::data, "run {} has no column \"{}\" in its metrics; it has: {}", name, y_column,
           fmt::join(history.columns, ", "));
    }
    chart.series.push_back(series_of(history, y_column, name));
  }
  if (y_column.ends_with("_loss")) chart.y.logarithmic = spans_orders_of_magnitude(chart.series);
  return chart;
}

}  // namespace dpll
