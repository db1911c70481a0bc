// Line charts as PNG, drawn by the engine itself: anti-aliased lines, DejaVu Sans text, round ticks.
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace dpll {

struct Series {
  std::string label;
  std::vector<double> x, y;  // the same length; NaN in y breaks the line
  bool dashed = false;
  bool right_axis = false;  // plotted against the right-hand y axis
  int colour = -1;          // index into the palette; -1 = by position
  bool markers = false;     // a dot on every point (drawn anyway when a line has few points)
};

struct Axis {
  std::string label;  // with unit, for example "test accuracy (%)"
  bool logarithmic = false;
  double min = std::numeric_limits<double>::quiet_NaN();  // NaN: from the data
  double max = std::numeric_limits<double>::quiet_NaN();
  bool integer_ticks = false;
  // Positions of the ticks instead of round values, ascending; for example the measured points. The axis then
  // ends with the data.
  std::vector<double> ticks;
};

struct HorizontalLine {  // a limit or reference drawn across the chart
  std::string label;
  double y = 0;
};

struct Chart {
  std::string title, subtitle;
  Axis x, y, y_right;
  std::vector<Series> series;
  std::vector<HorizontalLine> lines;
  int width = 1200, height = 760;  // pixels
};

// 8-bit RGB, width * height * 3.
std::vector<unsigned char> render(const Chart& chart);
// Renders and writes atomically. Error(run) when the file cannot be written.
void write_png(const Chart& chart, const std::string& path);
// Any RGB (channels = 3) or grey (1) image: the bytes of its file, or written atomically.
std::string encode_png(int width, int height, int channels, const unsigned char* pixels);
void write_png(const std::string& path, int width, int height, int channels, const unsigned char* pixels);

}  // namespace dpll
