// An RGB raster with anti-aliased drawing. Coordinates are pixels, y down; (0, 0) is the outer corner of the
// top left pixel, whose centre is (0.5, 0.5). Everything outside the raster or the clip is cut off.
#pragma once

#include <span>
#include <vector>

namespace dpll::report {

struct Colour {
  unsigned char red = 0, green = 0, blue = 0;
};

struct Point {
  double x = 0, y = 0;
};

struct Rect {
  double left = 0, top = 0, right = 0, bottom = 0;
  double width() const { return right - left; }
  double height() const { return bottom - top; }
  Rect grown(double by) const { return {left - by, top - by, right + by, bottom + by}; }
};

class Canvas {
 public:
  Canvas(int width, int height, Colour background);

  int width() const { return width_; }
  int height() const { return height_; }
  Rect bounds() const { return {0, 0, static_cast<double>(width_), static_cast<double>(height_)}; }
  const std::vector<unsigned char>& pixels() const { return pixels_; }  // RGB, width * height * 3

  // Mixes `colour` into one pixel; coverage in [0, 1].
  void blend(int x, int y, Colour colour, double coverage);
  // Exact: a partly covered pixel is mixed in proportion.
  void fill(const Rect& rect, Colour colour, double opacity = 1);
  void disc(Point centre, double radius, Colour colour);
  // A line through `points` with round joins and caps; it is not darker where it crosses itself. `dashes`:
  // alternating lengths of dash and gap, measured along the line between the centres of the caps; empty:
  // solid. Points must be finite.
  void stroke(std::span<const Point> points, double line_width, Colour colour, const Rect& clip,
              std::span<const double> dashes = {});
  // Pixels within `rect` that differ from the background.
  long ink_in(const Rect& rect) const;

 private:
  struct PixelBox {  // [left, right) x [top, bottom)
    int left, top, right, bottom;
  };
  PixelBox pixel_box(const Rect& rect) const;
  void add_capsule(Point from, Point to, double line_width, const PixelBox& clip);
  void blend_mask(Colour colour);

  int width_, height_;
  Colour background_;
  std::vector<unsigned char> pixels_;
  std::vector<float> mask_;  // coverage of the stroke being drawn, [height, width]; zero between strokes
  PixelBox touched_;         // where mask_ may be non-zero
};

}  // namespace dpll::report
