// The legend of a chart: one row for every series, shortened to the available space.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/canvas.h"
#include "report/style.h"

namespace dpll::report {

struct LegendEntry {
  std::string label;
  Colour colour;
  std::vector<double> dashes;
  bool dot = false;  // the series has dots on its points
};

class Legend {
 public:
  // Labels that are too wide are shortened in the middle, because names of runs differ at their ends. Rows
  // that do not fit are replaced by "… and 5 more".
  Legend(std::vector<LegendEntry> entries, const Style& style, double max_width, double max_height);

  bool empty() const { return entries_.empty(); }
  bool complete() const { return left_out_ == 0; }
  double width() const { return width_; }
  double height() const;
  void draw(Canvas& canvas, Point top_left, bool boxed) const;

 private:
  std::vector<LegendEntry> entries_;
  Style style_;
  std::size_t left_out_ = 0;
  double width_ = 0;
  double sample_, row_, padding_;  // widths and heights, pixels
};

// The top left corner of a legend inside `area` that covers nothing drawn on `ink`: at the border, as close
// to a corner as possible. Empty if there is no such place.
std::optional<Point> clear_place(const Legend& legend, const Canvas& ink, const Rect& area,
                                 const Style& style);

}  // namespace dpll::report
