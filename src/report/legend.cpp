#include "report/legend.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "report/text.h"

namespace dpll::report {

Legend::Legend(std::vector<LegendEntry> entries, const Style& style, double max_width, double max_height)
    : entries_(std::move(entries)),
      style_(style),
      sample_(34 * style.scale),
      row_(1.5 * style.text),
      padding_(style.gap) {
  std::erase_if(entries_, [](const LegendEntry& entry) { return entry.label.empty(); });
  if (entries_.empty()) return;
  const auto rows = static_cast<std::size_t>(std::max(2.0, std::floor((max_height - 2 * padding_) / row_)));
  if (entries_.size() > rows) {
    left_out_ = entries_.size() - (rows - 1);
    entries_.resize(rows - 1);
  }
  const double beside = 2 * padding_ + sample_ + style.gap;
  double widest = 0;
  for (LegendEntry& entry : entries_) {
    entry.label = fit_text(entry.label, style.text, max_width - beside, Ellipsis::middle);
    widest = std::max(widest, text_width(entry.label, style.text));
  }
  width_ = std::ceil(beside + widest);
}

double Legend::height() const {
  const std::size_t rows = entries_.size() + (left_out_ > 0 ? 1 : 0);
  return std::ceil(static_cast<double>(rows) * row_ + 2 * padding_);
}

void Legend::draw(Canvas& canvas, Point top_left, bool boxed) const {
  const double left = std::round(top_left.x), top = std::round(top_left.y);
  if (boxed) {
    const Rect box{left, top, left + width_, top + height()};
    canvas.fill(box, kBoxEdge);
    canvas.fill(box.grown(-style_.hairline), kWhite);
  }
  const double text_left = left + padding_ + sample_ + style_.gap;
  double middle = top + padding_ + row_ / 2;
  const auto baseline = [&] { return middle + 0.36 * style_.text; };
  for (const LegendEntry& entry : entries_) {
    const std::array ends = {Point{left + padding_ + style_.line / 2, middle},
                             Point{left + padding_ + sample_ - style_.line / 2, middle}};
    canvas.stroke(ends, style_.line, entry.colour, canvas.bounds(), entry.dashes);
    if (entry.dot) canvas.disc({(ends[0].x + ends[1].x) / 2, middle}, style_.dot_radius, entry.colour);
    draw_text(canvas, entry.label, {text_left, baseline()}, style_.text, kInk);
    middle += row_;
  }
  if (left_out_ > 0) {
    draw_text(canvas, fmt::format("… and {} more", left_out_), {text_left, baseline()}, style_.text,
              kFaintInk);
  }
}

std::optional<Point> clear_place(const Legend& legend, const Canvas& ink, const Rect& area,
                                 const Style& style) {
  const Rect room = area.grown(-1.5 * style.gap);
  const double free_width = room.width() - legend.width(), free_height = room.height() - legend.height();
  if (free_width < 0 || free_height < 0) return std::nullopt;
  for (int step = 0; step <= 5; ++step) {
    const double t = 0.1 * step;
    // First the corners in the order of preference, then positions along the borders.
    const std::array<Point, 8> places = {
        {{1 - t, 0}, {1 - t, 1}, {t, 0}, {t, 1}, {1, t}, {1, 1 - t}, {0, t}, {0, 1 - t}}};
    for (const Point& place : places) {
      const double left = std::round(room.left + place.x * free_width);
      const double top = std::round(room.top + place.y * free_height);
      const Rect box{left, top, left + legend.width(), top + legend.height()};
      if (ink.ink_in(box.grown(style.gap)) == 0) return Point{left, top};
    }
  }
  return std::nullopt;
}

}  // namespace dpll::report
