#include "report/canvas.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "report/text.h"
#include "support/doctest.h"

using namespace dpll::report;

namespace {

constexpr Colour kPaper{255, 255, 255};
constexpr Colour kBlack{0, 0, 0};

// How much of the pixel is covered with black.
double coverage(const Canvas& canvas, int x, int y) {
  return 1 - canvas.pixels().data()[(y * canvas.width() + x) * 3] / 255.0;
}

double ink(const Canvas& canvas, int left, int top, int right, int bottom) {
  double sum = 0;
  for (int y = top; y < bottom; ++y) {
    for (int x = left; x < right; ++x) sum += coverage(canvas, x, y);
  }
  return sum;
}

double all_ink(const Canvas& canvas) {
  return ink(canvas, 0, 0, canvas.width(), canvas.height());
}

Canvas with_line(Point from, Point to, double width) {
  Canvas canvas(200, 200, kPaper);
  canvas.stroke(std::array{from, to}, width, kBlack, canvas.bounds());
  return canvas;
}

}  // namespace

TEST_CASE("coverage across a horizontal or vertical line sums to its width, wherever it lies") {
  for (const double width : {0.4, 1.0, 2.0, 2.5, 7.0}) {
    for (const double at : {100.0, 100.25, 100.5, 100.8}) {
      INFO(width, " at ", at);
      const Canvas across = with_line({20, at}, {180, at}, width),
                   down = with_line({at, 20}, {at, 180}, width);
      CHECK(ink(across, 90, 0, 91, 200) == doctest::Approx(width).epsilon(0.01));
      CHECK(ink(down, 0, 90, 200, 91) == doctest::Approx(width).epsilon(0.01));
    }
  }
}

TEST_CASE("coverage of a slanted line integrates to length times width") {
  for (int degrees = 0; degrees < 180; degrees += 7) {
    const double angle = degrees * std::numbers::pi / 180, width = 2;
    const double dx = 80 * std::cos(angle), dy = 80 * std::sin(angle);
    const Canvas canvas = with_line({100 - dx, 100 - dy}, {100 + dx, 100 + dy}, width);
    const double caps = std::numbers::pi * (width / 2) * (width / 2);
    INFO(degrees, " degrees");
    CHECK(all_ink(canvas) == doctest::Approx(160 * width + caps).epsilon(0.01));
  }
}

TEST_CASE("a disc covers its area") {
  for (const double radius : {1.5, 3.6, 20.0}) {
    Canvas canvas(60, 60, kPaper);
    canvas.disc({30.3, 29.6}, radius, kBlack);
    CHECK(all_ink(canvas) == doctest::Approx(std::numbers::pi * radius * radius).epsilon(0.03));
  }
}

TEST_CASE("a line that runs over itself is no darker") {
  const Canvas once = with_line({20, 30}, {170, 111}, 2);
  Canvas thrice(200, 200, kPaper);
  const std::array points = {Point{20, 30}, Point{170, 111}, Point{20, 30}, Point{170, 111}};
  thrice.stroke(points, 2, kBlack, thrice.bounds());
  CHECK(once.pixels() == thrice.pixels());
}

TEST_CASE("joins have no holes and no bumps") {
  Canvas canvas(200, 200, kPaper);
  std::vector<Point> points;
  for (int i = 0; i <= 160; ++i) points.push_back({20.0 + i, 100});
  canvas.stroke(points, 2, kBlack, canvas.bounds());
  CHECK(canvas.pixels() == with_line({20, 100}, {180, 100}, 2).pixels());
}

TEST_CASE("nothing is drawn outside the clip, and far coordinates are cut off") {
  Canvas canvas(100, 80, kPaper);
  const Rect clip{20, 10, 70, 60};
  const std::array points = {Point{-1e7, -1e7}, Point{45, 35}, Point{1e7, 35}, Point{45, 1e7},
                             Point{-50, 20}};
  canvas.stroke(points, 6, kBlack, clip);
  CHECK(all_ink(canvas) == doctest::Approx(ink(canvas, 20, 10, 70, 60)));
  CHECK(all_ink(canvas) > 100);
  CHECK(coverage(canvas, 60, 35) == 1);  // on the way from (45, 35) to the right
}

TEST_CASE("drawing beyond the raster is harmless") {
  Canvas canvas(10, 10, kPaper);
  canvas.fill({-100, -100, -1, -1}, kBlack);
  canvas.fill({1e9, -1e9, 2e9, 1e9}, kBlack);
  canvas.disc({-50, 5}, 10, kBlack);
  canvas.stroke(std::array{Point{-1e6, -20}, Point{1e6, -20}}, 3, kBlack, {-1e9, -1e9, 1e9, 1e9});
  canvas.stroke({}, 3, kBlack, canvas.bounds());
  draw_text(canvas, "outside", {-500, -20}, 17, kBlack);
  draw_text(canvas, "outside", {5, 1000}, 17, kBlack, Align::centre, Direction::upwards);
  canvas.blend(10, 0, kBlack, 1);
  canvas.blend(0, -1, kBlack, 1);
  CHECK(all_ink(canvas) == 0);
  CHECK(canvas.ink_in({-10, -10, 100, 100}) == 0);
  canvas.fill({-5, -5, 500, 500}, kBlack);
  CHECK(canvas.ink_in({-10, -10, 100, 100}) == 100);
}

TEST_CASE("a rectangle covers the parts of pixels that it covers") {
  Canvas canvas(10, 10, kPaper);
  canvas.fill({1.25, 2.5, 4.5, 3.25}, kBlack);
  CHECK(all_ink(canvas) == doctest::Approx(3.25 * 0.75).epsilon(0.01));
  CHECK(coverage(canvas, 1, 2) == doctest::Approx(0.75 * 0.5).epsilon(0.01));
  CHECK(coverage(canvas, 4, 3) == doctest::Approx(0.5 * 0.25).epsilon(0.02));
}

TEST_CASE("dashes are spaced along the line, across its corners") {
  const std::array dashes = {8.0, 12.0};
  const auto dashes_in_row = [](const Canvas& canvas, int y) {
    int count = 0;
    for (int x = 1; x < canvas.width(); ++x) {
      if (coverage(canvas, x - 1, y) < 0.5 && coverage(canvas, x, y) >= 0.5) ++count;
    }
    return count;
  };
  Canvas straight(240, 20, kPaper), pieces(240, 20, kPaper), beyond(240, 20, kPaper);
  straight.stroke(std::array{Point{20, 10.5}, Point{220, 10.5}}, 2, kBlack, straight.bounds(), dashes);
  CHECK(dashes_in_row(straight, 10) == 10);
  std::vector<Point> points;
  for (int i = 0; i <= 66; ++i) points.push_back({20 + i * 200.0 / 66, 10.5});
  pieces.stroke(points, 2, kBlack, pieces.bounds(), dashes);
  for (int x = 0; x < 240; ++x) {
    CHECK(std::abs(coverage(pieces, x, 10) - coverage(straight, x, 10)) < 0.01);
  }
  beyond.stroke(std::array{Point{-1e6, 10.5}, Point{1e6, 10.5}}, 2, kBlack, beyond.bounds(), dashes);
  CHECK(dashes_in_row(beyond, 10) == 12);
}

TEST_CASE("text: letters, the Greek lambda, and what is not UTF-8") {
  const auto drawn = [](std::string_view text) {
    Canvas canvas(120, 40, kPaper);
    draw_text(canvas, text, {10, 28}, 20, kBlack);
    return canvas.pixels();
  };
  const auto blank = Canvas(120, 40, kPaper).pixels();
  CHECK(drawn("") == blank);
  CHECK(drawn("λ") != blank);
  CHECK(drawn("λ") != drawn("\U0010FFFD"));  // not the box for missing characters
  CHECK(drawn("a\tb\nc") == drawn("a b c"));
  for (const char* damaged : {"\xCE", "\xFF", "\xC0", "\xED\xA0", "\xF8"}) {
    INFO(doctest::toString(damaged));
    CHECK(drawn(std::string(damaged, 1)) == drawn("\uFFFD"));
  }
  CHECK(drawn("\xC1\xBB") == drawn("\uFFFD\uFFFD"));            // overlong
  CHECK(drawn("\xED\xA0\x80") == drawn("\uFFFD\uFFFD\uFFFD"));  // a surrogate
  CHECK(drawn("\xE2\x82") == drawn("\uFFFD\uFFFD"));            // cut off
  CHECK(drawn("\xE2\x82\xAC") == drawn("€"));
  CHECK(text_width("mm", 20) > text_width("ii", 20));
  CHECK(text_width("λ = 1", 40) == doctest::Approx(2 * text_width("λ = 1", 20)).epsilon(1e-6));
}

TEST_CASE("text that runs upwards is the horizontal text turned by 90 degrees") {
  Canvas across(100, 40, kPaper), upwards(40, 100, kPaper);
  draw_text(across, "loss λ", {10, 30}, 20, kBlack);
  draw_text(upwards, "loss λ", {30, 90}, 20, kBlack, Align::left, Direction::upwards);
  CHECK(all_ink(across) > 50);
  for (int y = 0; y < 40; ++y) {
    for (int x = 0; x < 100; ++x) CHECK(coverage(across, x, y) == coverage(upwards, y, 99 - x));
  }
}

TEST_CASE("alignment of text") {
  const double width = text_width("test accuracy", 17);
  const auto extent = [](Align align) {
    Canvas canvas(400, 40, kPaper);
    draw_text(canvas, "test accuracy", {200, 28}, 17, kBlack, align);
    int first = 400, last = 0;
    for (int x = 0; x < 400; ++x) {
      if (ink(canvas, x, 0, x + 1, 40) > 0) {
        first = std::min(first, x);
        last = x;
      }
    }
    return std::array{first, last};
  };
  CHECK(std::abs(extent(Align::left)[0] - 200) <= 2);
  CHECK(std::abs(extent(Align::right)[1] - 200) <= 2);
  CHECK(std::abs(extent(Align::centre)[0] - (200 - width / 2)) <= 2);
}

TEST_CASE("text that does not fit is shortened between characters") {
  CHECK(fit_text("short", 17, 200) == "short");
  const std::string name = "cifar10-wrn34-10-λλλλ-seed3";
  for (int room = 20; room < text_width(name, 17); room += 3) {
    const std::string end = fit_text(name, 17, room), middle = fit_text(name, 17, room, Ellipsis::middle);
    INFO(end, " | ", middle);
    CHECK(text_width(end, 17) <= room);
    CHECK(text_width(middle, 17) <= room);
    CHECK(end.ends_with("…"));
    CHECK(text_width(end, 17) > room - 30);  // as much as fits
    if (room > 120) CHECK((middle.starts_with("cifar") && middle.ends_with("seed3")));
  }
  CHECK(fit_text("name", 17, 0) == "…");
  CHECK(text_width(fit_text(std::string(1 << 20, 'i'), 17, 300), 17) <= 300);
}
