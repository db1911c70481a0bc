// Draws a Chart: computes the margins from the texts, draws the data on a temporary canvas to find space for
// the legend, then draws the picture from back to front.
#include "dpll/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "dpll/core/check.h"
#include "report/axis.h"
#include "report/canvas.h"
#include "report/legend.h"
#include "report/style.h"
#include "report/text.h"

namespace dpll {
namespace report {
namespace {

constexpr std::size_t kFewPoints = 16;  // a line with at most this many points gets dots

struct Layout {
  Rect area;  // for the data, whole pixels
  Ticks x_ticks, left_ticks, right_ticks;
  Scale x, left, right;
  double legend_left = 0;  // of a legend next to the area
  bool has_left = true, has_right = false;
};

struct Label {  // of a horizontal line
  std::string text;
  Point at;
};

class Figure {
 public:
  explicit Figure(const Chart& chart)
      : chart_(chart), style_(chart.width, chart.height), ranges_(ranges(chart)) {}

  std::vector<unsigned char> render();

 private:
  Layout lay_out(double legend_width) const;
  void set_x_axis(Layout& layout) const;
  std::vector<LegendEntry> legend_entries() const;
  std::vector<std::vector<Point>> runs(const Series& series, const Layout& layout) const;
  bool has_dots(const Series& series) const;
  Colour colour(std::size_t position) const;
  std::vector<double> dashes(std::size_t position) const;
  // The colour of the only series of an axis, so that the axis can be recognised; else grey.
  Colour axis_colour(bool right_axis) const;

  void draw_grid(Canvas& canvas, const Layout& layout) const;
  void draw_data(Canvas& canvas, const Layout& layout) const;
  void draw_frame(Canvas& canvas, const Layout& layout) const;
  void draw_y_axis(Canvas& canvas, const Layout& layout, bool right_axis) const;
  void draw_x_axis(Canvas& canvas, const Layout& layout) const;
  void draw_titles(Canvas& canvas, const Layout& layout) const;
  // Finds free places on `ink` for the labels of horizontal lines, and marks them there.
  std::vector<Label> place_line_labels(Canvas& ink, const Layout& layout) const;

  Canvas blank() const { return {chart_.width, chart_.height, kWhite}; }

  const Chart& chart_;
  Style style_;
  Ranges ranges_;
};

double widest(const std::vector<std::string>& labels, double size) {
  double width = 0;
  for (const std::string& label : labels) width = std::max(width, text_width(label, size));
  return width;
}

std::vector<unsigned char> Figure::render() {
  Layout layout = lay_out(0);
  Canvas ink = blank();
  draw_data(ink, layout);
  std::vector<Label> line_labels = place_line_labels(ink, layout);

  Legend legend(legend_entries(), style_, 0.45 * layout.area.width(), 0.55 * layout.area.height());
  std::optional<Point> place;
  if (!legend.empty() && legend.complete()) place = clear_place(legend, ink, layout.area, style_);
  const bool beside = !legend.empty() && !place;
  if (beside) {
    legend = Legend(legend_entries(), style_, 0.3 * chart_.width, layout.area.height());
    layout = lay_out(legend.width());
    place = Point{layout.legend_left, layout.area.top};
    ink = blank();
    draw_data(ink, layout);
    line_labels = place_line_labels(ink, layout);
  }

  Canvas canvas = blank();
  draw_grid(canvas, layout);
  draw_frame(canvas, layout);
  draw_data(canvas, layout);
  draw_x_axis(canvas, layout);
  if (layout.has_left) draw_y_axis(canvas, layout, false);
  if (layout.has_right) draw_y_axis(canvas, layout, true);
  draw_titles(canvas, layout);
  for (const Label& label : line_labels) {
    draw_text(canvas, label.text, label.at, style_.text, kReferenceInk);
  }
  if (ranges_.x.empty()) {
    draw_text(canvas, "no data",
              {(layout.area.left + layout.area.right) / 2, (layout.area.top + layout.area.bottom) / 2},
              style_.axis_label, kFaintInk, Align::centre);
  }
  if (place) legend.draw(canvas, *place, !beside);
  return canvas.pixels();
}

Layout Figure::lay_out(double legend_width) const {
  Layout layout;
  bool some_left = !chart_.lines.empty();
  for (const Series& series : chart_.series) (series.right_axis ? layout.has_right : some_left) = true;
  layout.has_left = some_left || !layout.has_right;

  double top = style_.edge;
  if (!chart_.title.empty()) top += 1.25 * style_.title;
  if (!chart_.subtitle.empty()) top += 1.4 * style_.subtitle;
  top += 1.5 * style_.gap;
  double bottom = chart_.height - style_.edge - style_.tick - style_.gap - style_.text;
  if (!chart_.x.label.empty()) bottom -= style_.gap + style_.axis_label;

  const auto y_ticks = [&] {
    const int most = static_cast<int>((bottom - top) / (3.6 * style_.text));
    layout.left_ticks = axis_ticks(chart_.y, ranges_.left, most, false);
    if (layout.has_right) {
      layout.right_ticks = layout.has_left && !chart_.y.logarithmic
                               ? right_axis_ticks(chart_.y_right, ranges_.right, most, layout.left_ticks)
                               : axis_ticks(chart_.y_right, ranges_.right, most, false);
    }
  };
  y_ticks();
  if (!layout.left_ticks.multiplier.empty() || !layout.right_ticks.multiplier.empty()) {
    top += 1.3 * style_.text;
    y_ticks();
  }

  const auto y_axis_width = [&](const Axis& axis, const Ticks& ticks) {
    return widest(ticks.labels, style_.text) + style_.tick + style_.gap +
           (axis.label.empty() ? 0 : 1.3 * style_.axis_label + style_.gap);
  };
  double left = style_.edge, right = chart_.width - style_.edge;
  if (legend_width > 0) {
    right -= legend_width;
    layout.legend_left = right;
    right -= style_.gap;
  }
  if (layout.has_left) left += y_axis_width(chart_.y, layout.left_ticks);
  right -= layout.has_right ? y_axis_width(chart_.y_right, layout.right_ticks) : style_.edge;
  // Some area remains, however long the texts are.
  left = std::min(left, 0.4 * chart_.width);
  right = std::max(right, 0.6 * chart_.width);
  bottom = std::max(bottom, top + 8);
  layout.area = {std::round(left), std::round(top), std::round(right), std::round(bottom)};

  set_x_axis(layout);
  const auto vertical = [&](const Axis& axis, const Ticks& ticks) {
    // A line along the highest tick has a distance from the border.
    return Scale{ticks.low, ticks.high, axis.logarithmic, layout.area.bottom, layout.area.top + style_.gap};
  };
  layout.left = vertical(chart_.y, layout.left_ticks);
  layout.right = vertical(chart_.y_right, layout.right_ticks);
  return layout;
}

void Figure::set_x_axis(Layout& layout) const {
  // Reduces the number of ticks until their labels have space.
  for (int most = static_cast<int>(layout.area.width() / (5 * style_.text));; --most) {
    layout.x_ticks = axis_ticks(chart_.x, ranges_.x, most, true);
    layout.x = {layout.x_ticks.low, layout.x_ticks.high, chart_.x.logarithmic, layout.area.left,
                layout.area.right};
    double end = -1e9;
    bool fits = true;
    for (std::size_t i = 0; i < layout.x_ticks.major.size(); ++i) {
      const double middle = layout.x(layout.x_ticks.major[i]);
      const double half = text_width(layout.x_ticks.labels[i], style_.text) / 2;
      fits = fits && middle - half >= end + style_.text;
      end = middle + half;
    }
    if (fits || most <= 3) return;
  }
}

Colour Figure::colour(std::size_t position) const {
  const int chosen = chart_.series[position].colour;
  return kPalette[(chosen >= 0 ? static_cast<std::size_t>(chosen) : position) % kPalette.size()];
}

std::vector<double> Figure::dashes(std::size_t position) const {
  const Series& series = chart_.series[position];
  return style_.dashes(series.dashed, series.colour >= 0 ? 0 : position);
}

Colour Figure::axis_colour(bool right_axis) const {
  Colour found = kInk;
  int count = 0;
  bool both = false;
  for (std::size_t i = 0; i < chart_.series.size(); ++i) {
    if (chart_.series[i].right_axis != right_axis) {
      both = true;
      continue;
    }
    ++count;
    found = colour(i);
  }
  return both && count == 1 ? found : kInk;
}

bool Figure::has_dots(const Series& series) const {
  const Axis& axis = series.right_axis ? chart_.y_right : chart_.y;
  std::size_t count = 0;
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (showable(chart_.x, series.x[i]) && showable(axis, series.y[i])) ++count;
  }
  return series.markers || count <= kFewPoints;
}

std::vector<LegendEntry> Figure::legend_entries() const {
  std::vector<LegendEntry> entries;
  const bool both =
      std::any_of(chart_.series.begin(), chart_.series.end(), [](const Series& s) { return s.right_axis; }) &&
      std::any_of(chart_.series.begin(), chart_.series.end(), [](const Series& s) { return !s.right_axis; });
  for (std::size_t i = 0; i < chart_.series.size(); ++i) {
    const Series& series = chart_.series[i];
    std::string label = series.label;
    if (!label.empty() && both) label += series.right_axis ? " (right)" : " (left)";
    entries.push_back({label, colour(i), dashes(i), has_dots(series)});
  }
  return entries;
}

// The line in pixels, cut where a point cannot be shown.
std::vector<std::vector<Point>> Figure::runs(const Series& series, const Layout& layout) const {
  const Axis& axis = series.right_axis ? chart_.y_right : chart_.y;
  const Scale& y = series.right_axis ? layout.right : layout.left;
  std::vector<std::vector<Point>> all;
  bool open = false;
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    const bool shown = showable(chart_.x, series.x[i]) && showable(axis, series.y[i]);
    if (shown && !open) all.emplace_back();
    if (shown) all.back().push_back({layout.x(series.x[i]), y(series.y[i])});
    open = shown;
  }
  return all;
}

void Figure::draw_data(Canvas& canvas, const Layout& layout) const {
  // Lines along the border of the area are not cut in half.
  const Rect clip = layout.area.grown(std::ceil(style_.line / 2));
  for (const HorizontalLine& line : chart_.lines) {
    if (!showable(chart_.y, line.y)) continue;
    const double y = std::floor(layout.left(line.y)) + 0.5;  // sharp on whole pixels
    const std::array ends = {Point{layout.area.left, y}, Point{layout.area.right, y}};
    canvas.stroke(ends, 1.5 * style_.scale, kReferenceInk, clip, style_.reference_dashes());
  }
  // The first series is drawn last, in front of the others.
  for (std::size_t i = chart_.series.size(); i-- > 0;) {
    const Series& series = chart_.series[i];
    const bool dots = has_dots(series);
    for (const std::vector<Point>& run : runs(series, layout)) {
      if (run.size() > 1) canvas.stroke(run, style_.line, colour(i), clip, dashes(i));
      if (!dots && run.size() > 1) continue;
      for (const Point& point : run) {
        const bool within =
            point.x >= clip.left && point.x <= clip.right && point.y >= clip.top && point.y <= clip.bottom;
        if (within) canvas.disc(point, style_.dot_radius, colour(i));
      }
    }
  }
}

// One-pixel lines are on whole pixels, so they are sharp.
void fill_vertical(Canvas& canvas, double x, double top, double bottom, double thickness, Colour colour) {
  const double left = std::floor(x - thickness / 2 + 0.5);
  canvas.fill({left, top, left + thickness, bottom}, colour);
}

void fill_horizontal(Canvas& canvas, double y, double left, double right, double thickness, Colour colour) {
  const double top = std::floor(y - thickness / 2 + 0.5);
  canvas.fill({left, top, right, top + thickness}, colour);
}

void Figure::draw_grid(Canvas& canvas, const Layout& layout) const {
  const Rect& area = layout.area;
  const Ticks& y_ticks = layout.has_left ? layout.left_ticks : layout.right_ticks;
  const Scale& y = layout.has_left ? layout.left : layout.right;
  const auto lines = [&](const std::vector<double>& x_values, const std::vector<double>& y_values,
                         Colour colour) {
    for (const double value : x_values) {
      fill_vertical(canvas, layout.x(value), area.top, area.bottom, style_.hairline, colour);
    }
    for (const double value : y_values) {
      fill_horizontal(canvas, y(value), area.left, area.right, style_.hairline, colour);
    }
  };
  // Over many decades the lines between the ticks would be too dense.
  if (y_ticks.minor.size() <= 36 && layout.x_ticks.minor.size() <= 36) {
    lines(layout.x_ticks.minor, y_ticks.minor, kMinorGrid);
  }
  lines(layout.x_ticks.major, y_ticks.major, kGrid);
}

void Figure::draw_frame(Canvas& canvas, const Layout& layout) const {
  const Rect& area = layout.area;
  fill_horizontal(canvas, area.bottom, area.left, area.right + style_.hairline, style_.hairline, kInk);
  if (layout.has_left)
    fill_vertical(canvas, area.left, area.top, area.bottom, style_.hairline, axis_colour(false));
  if (layout.has_right)
    fill_vertical(canvas, area.right, area.top, area.bottom, style_.hairline, axis_colour(true));
}

void Figure::draw_x_axis(Canvas& canvas, const Layout& layout) const {
  const Rect& area = layout.area;
  for (const double value : layout.x_ticks.minor) {
    fill_vertical(canvas, layout.x(value), area.bottom, area.bottom + 0.6 * style_.tick, style_.hairline,
                  kInk);
  }
  const double baseline = area.bottom + style_.tick + style_.gap / 2 + 0.8 * style_.text;
  for (std::size_t i = 0; i < layout.x_ticks.major.size(); ++i) {
    const double x = layout.x(layout.x_ticks.major[i]);
    fill_vertical(canvas, x, area.bottom, area.bottom + style_.tick, style_.hairline, kInk);
    draw_text(canvas, layout.x_ticks.labels[i], {x, baseline}, style_.text, kInk, Align::centre);
  }
  const double label_baseline = baseline + style_.gap + style_.axis_label;
  draw_text(canvas, fit_text(chart_.x.label, style_.axis_label, chart_.width - 2 * style_.edge),
            {(area.left + area.right) / 2, label_baseline}, style_.axis_label, kInk, Align::centre);
  draw_text(canvas, layout.x_ticks.multiplier, {area.right, label_baseline}, style_.text, kInk, Align::right);
}

void Figure::draw_y_axis(Canvas& canvas, const Layout& layout, bool right_axis) const {
  const Rect& area = layout.area;
  const Axis& axis = right_axis ? chart_.y_right : chart_.y;
  const Ticks& ticks = right_axis ? layout.right_ticks : layout.left_ticks;
  const Scale& scale = right_axis ? layout.right : layout.left;
  const Colour ink = axis_colour(right_axis);
  const double side = right_axis ? 1 : -1, border = right_axis ? area.right : area.left;
  const auto mark = [&](double value, double length) {
    const double end = border + side * length;
    fill_horizontal(canvas, scale(value), std::min(border, end), std::max(border, end), style_.hairline, ink);
  };
  for (const double value : ticks.minor) mark(value, 0.6 * style_.tick);
  const Align align = right_axis ? Align::left : Align::right;
  const double labels_at = border + side * (style_.tick + style_.gap / 2);
  for (std::size_t i = 0; i < ticks.major.size(); ++i) {
    mark(ticks.major[i], style_.tick);
    draw_text(canvas, ticks.labels[i], {labels_at, scale(ticks.major[i]) + 0.36 * style_.text}, style_.text,
              ink, align);
  }
  draw_text(canvas, ticks.multiplier, {border, area.top - 0.6 * style_.text}, style_.text, ink,
            right_axis ? Align::right : Align::left);

  // Turned by 90 degrees the baseline is to the right of the letters.
  const double beside = labels_at + side * (widest(ticks.labels, style_.text) + style_.gap);
  const double baseline = right_axis ? beside + 0.85 * style_.axis_label : beside - 0.25 * style_.axis_label;
  draw_text(canvas, fit_text(axis.label, style_.axis_label, chart_.height - 2 * style_.edge),
            {baseline, (area.top + area.bottom) / 2}, style_.axis_label, ink, Align::centre,
            Direction::upwards);
}

void Figure::draw_titles(Canvas& canvas, const Layout& layout) const {
  const double left = layout.area.left, room = chart_.width - style_.edge - left;
  double baseline = style_.edge;
  if (!chart_.title.empty()) {
    baseline += style_.title;
    draw_text(canvas, fit_text(chart_.title, style_.title, room), {left, baseline}, style_.title, kTitleInk);
    baseline += 0.25 * style_.title;
  }
  if (!chart_.subtitle.empty()) {
    baseline += 1.1 * style_.subtitle;
    draw_text(canvas, fit_text(chart_.subtitle, style_.subtitle, room), {left, baseline}, style_.subtitle,
              kFaintInk);
  }
}

std::vector<Label> Figure::place_line_labels(Canvas& ink, const Layout& layout) const {
  std::vector<Label> labels;
  const Rect& area = layout.area;
  for (const HorizontalLine& line : chart_.lines) {
    if (line.label.empty() || !showable(chart_.y, line.y)) continue;
    const double y = layout.left(line.y);
    if (y < area.top || y > area.bottom) continue;
    const std::string text = fit_text(line.label, style_.text, 0.6 * area.width(), Ellipsis::middle);
    const double width = text_width(text, style_.text), height = 1.1 * style_.text, space = 0.5 * style_.gap;
    long least = -1;
    Rect best;
    const double leftmost = area.left + space, rightmost = area.right - width - space;
    for (int step = 0; step <= 20; ++step) {
      const double left = rightmost + (leftmost - rightmost) * step / 20;
      for (const double top : {y - space - height, y + space}) {
        const Rect box{left, top, left + width, top + height};
        if (box.top < area.top || box.bottom > area.bottom) continue;
        const long covered = ink.ink_in(box);
        if (least >= 0 && covered >= least) continue;
        least = covered;
        best = box;
      }
    }
    if (least < 0) continue;
    labels.push_back({text, {best.left, best.bottom - 0.2 * style_.text}});
    ink.fill(best, kReferenceInk);
  }
  return labels;
}

}  // namespace
}  // namespace report

std::vector<unsigned char> render(const Chart& chart) {
  DPLL_CHECK(chart.width >= 160 && chart.height >= 120 && chart.width <= 16384 && chart.height <= 16384,
             "chart of {} x {} pixels", chart.width, chart.height);
  return report::Figure(chart).render();
}

void write_png(const Chart& chart, const std::string& path) {
  write_png(path, chart.width, chart.height, 3, render(chart).data());
}

}  // namespace dpll
