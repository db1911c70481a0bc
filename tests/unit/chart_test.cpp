#include "dpll/chart.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/image_file.h"
#include "dpll/core/check.h"
#include "dpll/files.h"
#include "report/legend.h"
#include "report/style.h"
#include "support/doctest.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

using namespace dpll;
using namespace dpll::report;
using dpll::test::contains;
using dpll::test::error_of;
using dpll::test::TempDir;

namespace {

const double kNaN = std::nan("");
constexpr int kStray = 20;  // pixels at the edges of grey letters may happen to have any grey

Series series_of(const std::string& label, const std::vector<double>& y) {
  Series series;
  series.label = label;
  series.y = y;
  for (std::size_t i = 0; i < y.size(); ++i) series.x.push_back(static_cast<double>(i + 1));
  return series;
}

Chart chart_of(std::vector<Series> series) {
  Chart chart;
  chart.title = "title";
  chart.x.label = "epoch";
  chart.y.label = "accuracy (%)";
  chart.series = std::move(series);
  return chart;
}

std::vector<double> many(int count, double value) {
  return std::vector<double>(static_cast<std::size_t>(count), value);
}

struct Image {
  int width, height;
  std::vector<unsigned char> pixels;

  explicit Image(const Chart& chart) : width(chart.width), height(chart.height), pixels(render(chart)) {}
  bool is(int x, int y, Colour colour) const {
    const unsigned char* p = pixels.data() + (y * width + x) * 3;
    return p[0] == colour.red && p[1] == colour.green && p[2] == colour.blue;
  }
  int count(Colour colour) const {
    int n = 0;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) n += is(x, y, colour) ? 1 : 0;
    }
    return n;
  }
  // Columns with a pixel of the colour.
  std::vector<int> columns(Colour colour) const {
    std::vector<int> found;
    for (int x = 0; x < width; ++x) {
      for (int y = 0; y < height; ++y) {
        if (!is(x, y, colour)) continue;
        found.push_back(x);
        break;
      }
    }
    return found;
  }
  std::vector<int> rows(Colour colour) const {
    std::vector<int> found;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        if (!is(x, y, colour)) continue;
        found.push_back(y);
        break;
      }
    }
    return found;
  }
};

int gaps(const std::vector<int>& columns) {
  int count = 0;
  for (std::size_t i = 1; i < columns.size(); ++i) count += columns[i] > columns[i - 1] + 3 ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("a chart is rendered to the same pixels every time") {
  Chart chart = chart_of({series_of("λ", {1, 4, 2, 8}), series_of("right", {0.1, 0.3, 0.2, 0.9})});
  chart.series[1].right_axis = true;
  chart.lines = {{"limit", 5}};
  const std::vector<unsigned char> first = render(chart);
  CHECK(first.size() == 1200u * 760u * 3u);
  render(chart_of({series_of("other", many(300, 2))}));
  CHECK(render(chart) == first);
  chart.series[0].y[2] = 2.5;
  CHECK(render(chart) != first);
}

TEST_CASE("a value that cannot be shown breaks the line") {
  std::vector<double> y = many(100, 5);
  const auto broken = [&](double value) {
    std::vector<double> with = y;
    for (std::size_t i = 40; i < 50; ++i) with[i] = value;
    return gaps(Image(chart_of({series_of("", with)})).columns(kPalette[0]));
  };
  CHECK(broken(5) == 0);
  CHECK(broken(kNaN) == 1);
  CHECK(broken(std::numeric_limits<double>::infinity()) == 1);
}

TEST_CASE("a point without neighbours is a dot") {
  const Chart single = chart_of({series_of("", {3})});
  const double radius = Style(single.width, single.height).dot_radius;
  const int dot = Image(single).count(kPalette[0]);
  CHECK(dot > 0.4 * std::numbers::pi * radius * radius);  // pixels that are covered in full
  CHECK(dot < 1.1 * std::numbers::pi * radius * radius);

  // Also where the line has so many points that the others are not marked.
  std::vector<double> y = many(100, 1);
  y[49] = y[50] = y[51] = kNaN;
  const std::size_t without = Image(chart_of({series_of("", y)})).rows(kPalette[0]).size();
  y[50] = 9;
  CHECK(Image(chart_of({series_of("", y)})).rows(kPalette[0]).size() > without + 3);
}

TEST_CASE("few points are marked, many are not, unless asked") {
  const auto rows = [](int count, bool markers) {
    Chart chart = chart_of({series_of("", many(count, 1))});
    chart.series[0].markers = markers;
    return Image(chart).rows(kPalette[0]).size();
  };
  CHECK(rows(6, false) > rows(60, false));
  CHECK(rows(60, true) == rows(6, false));
}

TEST_CASE("a logarithmic axis drops what is not positive") {
  Chart with = chart_of({series_of("loss", {-1, 10, 1, 0, 100, 1000})});
  Chart without = chart_of({series_of("loss", {kNaN, 10, 1, kNaN, 100, 1000})});
  with.y.logarithmic = without.y.logarithmic = true;
  CHECK(render(with) == render(without));
  without.y.logarithmic = false;
  CHECK(render(with) != render(without));
}

TEST_CASE("the legend is there and covers no line") {
  std::vector<double> rising;
  rising.reserve(100);
  for (int i = 0; i < 100; ++i) rising.push_back(std::sqrt(i));
  const Image without(chart_of({series_of("", rising)})),
      with(chart_of({series_of("test accuracy", rising)}));
  CHECK(without.count(kBoxEdge) < kStray);
  CHECK(with.count(kBoxEdge) > 100);
  CHECK(with.count(kPalette[0]) > without.count(kPalette[0]) + 10);  // the sample of the line
  for (int y = 0; y < with.height; ++y) {
    for (int x = 0; x < with.width; ++x) {
      if (without.is(x, y, kPalette[0])) CHECK(with.is(x, y, kPalette[0]));
    }
  }
}

TEST_CASE("a legend that finds no place inside goes beside the axes") {
  std::vector<double> noise;
  noise.reserve(400);
  for (int i = 0; i < 400; ++i) noise.push_back(i % 2);
  Chart chart = chart_of({series_of("", noise)});
  const std::vector<int> alone = Image(chart).columns(kPalette[0]);
  chart.series[0].label = "a line that is everywhere";
  const Image image(chart);
  CHECK(image.count(kBoxEdge) < kStray);
  const std::vector<int> columns = image.columns(kPalette[0]);
  CHECK(gaps(columns) == 1);  // the line, then the sample in the legend
  CHECK(columns.back() > 800);
  CHECK(gaps(alone) == 0);
}

TEST_CASE("places for a legend") {
  const Style style(600, 400);
  const Legend legend({{"test", kPalette[0], {}, false}}, style, 300, 300);
  const Rect area{50, 50, 550, 350};
  Canvas ink(600, 400, kWhite);
  const std::optional<Point> corner = clear_place(legend, ink, area, style);
  REQUIRE(corner);
  CHECK(corner->x > 400);
  CHECK(corner->y < 80);
  ink.fill({300, 50, 550, 350}, kInk);
  const std::optional<Point> left = clear_place(legend, ink, area, style);
  REQUIRE(left);
  CHECK(left->x + legend.width() < 300);
  ink.fill(area, kInk);
  CHECK_FALSE(clear_place(legend, ink, area, style));
  CHECK_FALSE(clear_place(legend, ink, {0, 0, 30, 30}, style));
}

TEST_CASE("a long legend is cut to the room there is") {
  const Style style(1200, 760);
  std::vector<LegendEntry> entries;
  entries.reserve(60);
  for (int i = 0; i < 60; ++i)
    entries.push_back({std::string(200, 'x') + std::to_string(i), kInk, {}, false});
  const Legend cut(entries, style, 300, 500);
  CHECK_FALSE(cut.complete());
  CHECK(cut.width() <= 300);
  CHECK(cut.height() <= 500);
  CHECK(cut.height() > 450);
  entries.resize(3);
  CHECK(Legend(entries, style, 300, 500).complete());
  CHECK(Legend({{"", kInk, {}, false}}, style, 300, 500).empty());
}

TEST_CASE("the right axis has a scale of its own") {
  Chart chart = chart_of({series_of("", {0, 100}), series_of("", {0, 1})});
  const std::size_t flat = Image(chart).rows(kPalette[1]).size();
  chart.series[1].right_axis = true;
  const std::size_t high = Image(chart).rows(kPalette[1]).size();
  CHECK(flat < 20);
  CHECK(high > 200);
  chart.series.erase(chart.series.begin());  // none on the left
  CHECK(Image(chart).rows(kPalette[0]).size() > 200);
}

TEST_CASE("horizontal lines are within the axis, with their label") {
  Chart chart = chart_of({series_of("", {1, 2, 1})});
  CHECK(Image(chart).count(kReferenceInk) < kStray);
  chart.lines = {{"", 50}};
  const int unlabelled = Image(chart).count(kReferenceInk);
  CHECK(unlabelled > 100);
  chart.lines[0].label = "published";
  CHECK(Image(chart).count(kReferenceInk) > unlabelled);
  chart.lines[0].y = kNaN;
  CHECK(Image(chart).count(kReferenceInk) < kStray);
}

TEST_CASE("the nth series is told apart from those before") {
  const Style style(1200, 760);
  for (std::size_t i = 0; i < 3 * kPalette.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      CHECK((i % kPalette.size() != j % kPalette.size() || style.dashes(false, i) != style.dashes(false, j)));
    }
  }
}

TEST_CASE("charts that are hard to draw") {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<double>> data = {{},
                                                 {kNaN},
                                                 {kNaN, kNaN, kNaN},
                                                 {0, 0, 0},
                                                 {7, 7},
                                                 {-3},
                                                 {1e308, -1e308, 1},
                                                 {1e300, -1e300},
                                                 {5e-324, 1e-310},
                                                 {infinity, -infinity, 2},
                                                 {1, 1 + 1e-15},
                                                 {1e15, 1e15 + 1},
                                                 {1e-100, 1e100, 1},
                                                 {-5, 3, 1e9, -1e-9}};
  for (const std::vector<double>& y : data) {
    for (int variant = 0; variant < 32; ++variant) {
      Chart chart = chart_of({series_of("first", y), series_of("second", y)});
      chart.width = 160 + 40 * (variant % 3);
      chart.height = 120 + 30 * (variant % 3);
      chart.x.logarithmic = (variant & 1) != 0;
      chart.y.logarithmic = (variant & 2) != 0;
      chart.series[1].right_axis = (variant & 4) != 0;
      chart.series[0].dashed = (variant & 8) != 0;
      chart.lines = {{"limit", 1}, {"far", 1e300}};
      if ((variant & 16) != 0) {
        chart.x.integer_ticks = true;
        chart.y.min = 0.5;
        chart.y.max = 0.75;
        chart.y_right.max = -1;
        chart.x.min = 2;
        chart.title = chart.subtitle = chart.y.label = chart.series[0].label = std::string(500, 'w');
      }
      CAPTURE(variant);
      CHECK(render(chart).size() == static_cast<std::size_t>(chart.width * chart.height * 3));
    }
  }
  Chart nothing;
  CHECK(render(nothing).size() == 1200u * 760u * 3u);
}

TEST_CASE("a chart with as many series as there may be runs") {
  Chart chart = chart_of({});
  for (int i = 0; i < 100; ++i) {
    chart.series.push_back(
        series_of("a run with a long name, number " + std::to_string(i), {1.0 * i, 2.0 * i, 0}));
  }
  const Image image(chart);
  for (const Colour& colour : kPalette) CHECK(image.count(colour) > 50);
}

TEST_CASE("charts that are put together wrongly are refused") {
  Chart chart = chart_of({series_of("a", {1, 2})});
  chart.series[0].x.pop_back();
  CHECK(error_of([&] { render(chart); }).code() == ExitCode::internal);
  chart = chart_of({});
  chart.width = 20;
  CHECK(error_of([&] { render(chart); }).code() == ExitCode::internal);
  chart = chart_of({});
  chart.y.min = 2;
  chart.y.max = 1;
  CHECK(error_of([&] { render(chart); }).code() == ExitCode::internal);
}

TEST_CASE("a written PNG decodes to the same pixels") {
  const auto decoded = [](const std::string& path, int channels) {
    const std::vector<std::uint8_t> file = read_file(path);
    const ImageSet image = decode_image(file, path, 0);
    CHECK(image.channels == channels);
    return image.pixels;
  };
  const TempDir folder;
  const Chart chart = chart_of({series_of("a", {1, 3, 2}), series_of("b", {2, 1, 3})});
  write_png(chart, folder.file("chart.png"));
  CHECK(decoded(folder.file("chart.png"), 3) == render(chart));

  std::vector<unsigned char> grey;
  grey.reserve(28 * 30);
  for (int i = 0; i < 28 * 30; ++i) grey.push_back(static_cast<unsigned char>(i * i));
  write_png(folder.file("grey.png"), 28, 30, 1, grey.data());
  CHECK(decoded(folder.file("grey.png"), 1) == grey);
}

TEST_CASE("a chart that cannot be written is an error that names the file") {
  const TempDir folder;
  const Chart chart = chart_of({});
  const Error missing = error_of([&] { write_png(chart, folder.file("no/such/folder/loss.png")); });
  CHECK(missing.code() == ExitCode::run);
  CHECK(contains(missing, "no/such/folder/loss.png"));
  const unsigned char pixel = 0;
  CHECK(error_of([&] { write_png(folder.file("a.png"), 1, 1, 2, &pixel); }).code() == ExitCode::internal);
  CHECK(error_of([&] { write_png(folder.file("a.png"), 0, 1, 1, &pixel); }).code() == ExitCode::internal);
}
