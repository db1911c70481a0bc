#include "report/canvas.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "dpll/core/check.h"

namespace dpll::report {
namespace {

unsigned char mix(unsigned char below, unsigned char above, double coverage) {
  return static_cast<unsigned char>(std::lround(below + (above - below) * coverage));
}

// Coverage of a pixel whose centre is `distance` away from the middle of a stroke: the convolution of the
// stroke's profile with a box one pixel wide. Its sum over a column of pixels is the width of the line,
// whatever the position of the line is.
double stroke_coverage(double distance, double line_width) {
  return std::clamp(line_width / 2 + 0.5 - distance, 0.0, std::min(1.0, line_width));
}

double squared_distance(Point p, Point from, Point to) {
  const double dx = to.x - from.x, dy = to.y - from.y;
  const double length_squared = dx * dx + dy * dy;
  double t = 0;
  if (length_squared > 0) {
    t = std::clamp(((p.x - from.x) * dx + (p.y - from.y) * dy) / length_squared, 0.0, 1.0);
  }
  const double ex = p.x - from.x - t * dx, ey = p.y - from.y - t * dy;
  return ex * ex + ey * ey;
}

struct Span {
  double begin, end;
};

// The values of t in [0, 1] for which low <= from + t * delta <= high.
std::optional<Span> inside(double from, double delta, double low, double high) {
  if (delta == 0) {
    if (from < low || from > high) return std::nullopt;
    return Span{0, 1};
  }
  const double a = (low - from) / delta, b = (high - from) / delta;
  const Span span{std::max(0.0, std::min(a, b)), std::min(1.0, std::max(a, b))};
  if (span.begin > span.end) return std::nullopt;
  return span;
}

std::optional<Span> inside(Point from, Point to, const Rect& rect) {
  const auto x = inside(from.x, to.x - from.x, rect.left, rect.right);
  const auto y = inside(from.y, to.y - from.y, rect.top, rect.bottom);
  if (!x || !y) return std::nullopt;
  const Span span{std::max(x->begin, y->begin), std::min(x->end, y->end)};
  if (span.begin > span.end) return std::nullopt;
  return span;
}

Point between(Point from, Point to, double t) {
  return {from.x + t * (to.x - from.x), from.y + t * (to.y - from.y)};
}

}  // namespace

Canvas::Canvas(int width, int height, Colour background)
    : width_(width), height_(height), background_(background), touched_{width, height, 0, 0} {
  DPLL_CHECK(width > 0 && height > 0, "canvas of {} x {} pixels", width, height);
  const std::size_t count = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  for (int x = 0; x < width; ++x) {
    pixels_.insert(pixels_.end(), {background.red, background.green, background.blue});
  }
  const std::vector<unsigned char> row = pixels_;
  pixels_.reserve(count * 3);
  for (int y = 1; y < height; ++y) pixels_.insert(pixels_.end(), row.begin(), row.end());
  mask_.assign(count, 0.0F);
}

Canvas::PixelBox Canvas::pixel_box(const Rect& rect) const {
  // Clamped as doubles, because a coordinate may be too large for an int.
  const auto column = [this](double x) { return static_cast<int>(std::clamp(x, 0.0, 1.0 * width_)); };
  const auto row = [this](double y) { return static_cast<int>(std::clamp(y, 0.0, 1.0 * height_)); };
  return {column(std::floor(rect.left)), row(std::floor(rect.top)), column(std::ceil(rect.right)),
          row(std::ceil(rect.bottom))};
}

void Canvas::blend(int x, int y, Colour colour, double coverage) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  unsigned char* pixel = pixels_.data() + (static_cast<std::ptrdiff_t>(y) * width_ + x) * 3;
  pixel[0] = mix(pixel[0], colour.red, coverage);
  pixel[1] = mix(pixel[1], colour.green, coverage);
  pixel[2] = mix(pixel[2], colour.blue, coverage);
}

void Canvas::fill(const Rect& rect, Colour colour, double opacity) {
  const auto overlap = [](double low, double high, int pixel) {
    return std::max(0.0, std::min(high, pixel + 1.0) - std::max(low, 1.0 * pixel));
  };
  const PixelBox box = pixel_box(rect);
  for (int y = box.top; y < box.bottom; ++y) {
    const double rows = overlap(rect.top, rect.bottom, y);
    for (int x = box.left; x < box.right; ++x) {
      blend(x, y, colour, opacity * rows * overlap(rect.left, rect.right, x));
    }
  }
}

void Canvas::disc(Point centre, double radius, Colour colour) {
  stroke(std::span(&centre, 1), 2 * radius, colour, bounds());
}

void Canvas::stroke(std::span<const Point> points, double line_width, Colour colour, const Rect& clip,
                    std::span<const double> dashes) {
  const PixelBox box = pixel_box(clip);
  double period = 0;
  for (const double length : dashes) period += length;
  if (points.size() == 1) add_capsule(points[0], points[0], line_width, box);

  double travelled = 0;  // length of the line before the current segment
  for (std::size_t i = 0; i + 1 < points.size(); ++i) {
    const Point from = points[i], to = points[i + 1];
    const double length = std::hypot(to.x - from.x, to.y - from.y);
    const double start = travelled;
    travelled += length;
    // The part outside is cut off first, so that a segment of a million pixels does not need many dashes.
    const auto visible = inside(from, to, clip.grown(line_width + 1));
    if (!visible) continue;
    if (!(period > 0) || length == 0) {
      add_capsule(between(from, to, visible->begin), between(from, to, visible->end), line_width, box);
      continue;
    }
    const double begin = start + visible->begin * length, end = start + visible->end * length;
    double dash_begin = std::floor(begin / period) * period;
    for (std::size_t k = 0; dash_begin < end; k = (k + 1) % dashes.size()) {
      const double dash_end = dash_begin + dashes[k];
      const double a = std::max(begin, dash_begin), b = std::min(end, dash_end);
      if (k % 2 == 0 && a <= b) {
        add_capsule(between(from, to, (a - start) / length), between(from, to, (b - start) / length),
                    line_width, box);
      }
      dash_begin = dash_end;
    }
  }
  blend_mask(colour);
}

void Canvas::add_capsule(Point from, Point to, double line_width, const PixelBox& clip) {
  DPLL_CHECK(std::isfinite(from.x + from.y + to.x + to.y), "a point of a line is not finite");
  const double reach = line_width / 2 + 0.5;
  const double reach_squared = reach * reach;
  const PixelBox rows = pixel_box({0, std::min(from.y, to.y) - reach, 0, std::max(from.y, to.y) + reach});
  const int top = std::max(rows.top, clip.top), bottom = std::min(rows.bottom, clip.bottom);
  for (int y = top; y < bottom; ++y) {
    // Only the part of the segment near this row of pixel centres matters.
    const auto near = inside(from.y, to.y - from.y, y + 0.5 - reach, y + 0.5 + reach);
    if (!near) continue;
    const double x0 = between(from, to, near->begin).x, x1 = between(from, to, near->end).x;
    const PixelBox columns = pixel_box({std::min(x0, x1) - reach, 0, std::max(x0, x1) + reach, 0});
    const int left = std::max(columns.left, clip.left), right = std::min(columns.right, clip.right);
    if (left >= right) continue;
    float* row = mask_.data() + static_cast<std::ptrdiff_t>(y) * width_;
    for (int x = left; x < right; ++x) {
      const double squared = squared_distance({x + 0.5, y + 0.5}, from, to);
      if (squared >= reach_squared) continue;
      row[x] = std::max(row[x], static_cast<float>(stroke_coverage(std::sqrt(squared), line_width)));
    }
    touched_ = {std::min(touched_.left, left), std::min(touched_.top, y), std::max(touched_.right, right),
                std::max(touched_.bottom, y + 1)};
  }
}

void Canvas::blend_mask(Colour colour) {
  for (int y = touched_.top; y < touched_.bottom; ++y) {
    float* row = mask_.data() + static_cast<std::ptrdiff_t>(y) * width_;
    for (int x = touched_.left; x < touched_.right; ++x) {
      if (row[x] > 0) blend(x, y, colour, row[x]);
      row[x] = 0;
    }
  }
  touched_ = {width_, height_, 0, 0};
}

long Canvas::ink_in(const Rect& rect) const {
  const PixelBox box = pixel_box(rect);
  long count = 0;
  for (int y = box.top; y < box.bottom; ++y) {
    const unsigned char* pixel = pixels_.data() + (static_cast<std::ptrdiff_t>(y) * width_ + box.left) * 3;
    for (int x = box.left; x < box.right; ++x, pixel += 3) {
      if (pixel[0] != background_.red || pixel[1] != background_.green || pixel[2] != background_.blue) {
        ++count;
      }
    }
  }
  return count;
}

}  // namespace dpll::report
