#include "report/ticks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "dpll/core/check.h"
#include "dpll/core/philox.h"
#include "report/axis.h"
#include "support/doctest.h"

using namespace dpll;
using namespace dpll::report;

namespace {

// The number a label shows.
double parsed(std::string label) {
  if (label.starts_with("\u2212")) label.replace(0, 3, "-");
  char* end = nullptr;
  const double value = std::strtod(label.c_str(), &end);
  CHECK_MESSAGE(*end == '\0', "label ", label);
  return value;
}

// 1, 2, 2.5 or 5 times a power of ten.
bool is_round_step(double step) {
  const double mantissa = step / std::pow(10.0, std::floor(std::log10(step) + 1e-6));
  for (const double round : {1.0, 2.0, 2.5, 5.0}) {
    if (std::abs(mantissa - round) < 1e-6) return true;
  }
  return false;
}

struct Limits {
  double low, high;
};

// Ranges of all sizes, signs and offsets from zero.
Limits random_limits(std::uint32_t trial) {
  PhiloxStream random(7, Purpose::shuffle, trial, 0, 0);
  const auto uniform = [&] { return random.next_below(1u << 30) / static_cast<double>(1u << 30); };
  const double size = std::pow(10.0, 24 * uniform() - 12);
  const double offset = trial % 3 == 0 ? 0 : size * (uniform() - 0.5) * std::pow(10.0, 5 * uniform());
  return {offset, offset + size * (0.1 + uniform())};
}

void check_ticks(const Ticks& ticks, double low, double high, int most) {
  INFO(fmt::format("[{:.17g}, {:.17g}], at most {} ticks, from {:.17g} to {:.17g}", low, high, most,
                   ticks.low, ticks.high));
  const std::size_t count = ticks.major.size();
  REQUIRE(count >= 2);
  CHECK(count <= static_cast<std::size_t>(std::max(3, most)));
  CHECK(ticks.labels.size() == count);
  const double step = ticks.major[1] - ticks.major[0];
  CHECK(is_round_step(step));
  for (std::size_t i = 1; i < count; ++i) {
    CHECK(ticks.major[i] - ticks.major[i - 1] == doctest::Approx(step).epsilon(1e-6));
  }
  CHECK(ticks.low == ticks.major.front());
  CHECK(ticks.high == ticks.major.back());
  // They cover the range, and no step more than that.
  CHECK(ticks.low <= low + 1e-5 * step);
  CHECK(ticks.high >= high - 1e-5 * step);
  CHECK(low - ticks.low < step * 1.00001);
  CHECK(ticks.high - high < step * 1.00001);
  CHECK(std::set(ticks.labels.begin(), ticks.labels.end()).size() == count);
  for (std::size_t i = 0; i < count && ticks.multiplier.empty(); ++i) {
    CHECK(parsed(ticks.labels[i]) == ticks.major[i]);  // the very double nearest to the decimal number
  }
}

}  // namespace

TEST_CASE("linear ticks are round, cover the range and are labelled with their value") {
  for (std::uint32_t trial = 0; trial < 4000; ++trial) {
    const Limits limits = random_limits(trial);
    const double low = limits.low, high = limits.high;
    const int most = 3 + static_cast<int>(trial % 13);
    check_ticks(linear_ticks(low, high, most), low, high, most);
  }
}

TEST_CASE("ticks of everyday ranges are the ones a person would choose") {
  const auto labels = [](double low, double high, int most, bool integers = false) {
    return linear_ticks(low, high, most, integers).labels;
  };
  using Labels = std::vector<std::string>;
  CHECK(labels(0, 1, 6) == Labels{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"});
  CHECK(labels(0.3, 0.5, 5) == Labels{"0.30", "0.35", "0.40", "0.45", "0.50"});
  CHECK(labels(31.2, 97.6, 10) == Labels{"30", "40", "50", "60", "70", "80", "90", "100"});
  CHECK(labels(-1, 1, 3) == Labels{"\u22121", "0", "1"});
  CHECK(labels(1, 200, 12, true) ==
        Labels{"0", "20", "40", "60", "80", "100", "120", "140", "160", "180", "200"});
  CHECK(labels(1, 6, 12, true) == Labels{"1", "2", "3", "4", "5", "6"});
  CHECK(labels(0, 100, 5) == Labels{"0", "25", "50", "75", "100"});

  const Ticks tiny = linear_ticks(0, 4e-5, 5);
  CHECK(tiny.labels == Labels{"0", "1", "2", "3", "4"});
  CHECK(tiny.multiplier == "×10⁻⁵");
  const Ticks huge = linear_ticks(0, 2.5e6, 6);
  CHECK(huge.labels == Labels{"0.0", "0.5", "1.0", "1.5", "2.0", "2.5"});
  CHECK(huge.multiplier == "×10⁶");
}

TEST_CASE("ticks for integers are integers") {
  for (std::uint32_t trial = 0; trial < 300; ++trial) {
    const double low = trial % 7, high = low + trial % 61;
    for (const double tick : linear_ticks(low, high, 9, true).major) CHECK(tick == std::round(tick));
  }
}

TEST_CASE("ticks of one value, of nearly one value and of extreme values") {
  for (const double value : {0.0, 1.0, -3.0, 0.1, 1e-280, -1e-280, 9e299, -1e300, 123456789.0}) {
    for (const double width : {0.0, 1e-12}) {
      const Ticks ticks = linear_ticks(value, value + std::abs(value) * width, 8);
      INFO(value);
      CHECK(ticks.low < ticks.high);
      CHECK(ticks.low <= value);
      CHECK(ticks.high >= value);
      CHECK(std::isfinite(ticks.low));
      CHECK(std::isfinite(ticks.high));
    }
  }
  const Ticks all = linear_ticks(-kLargest, kLargest, 9);
  CHECK(all.major.size() >= 3);
  CHECK(std::isfinite(all.high));
}

TEST_CASE("ticks in a given number of intervals") {
  for (std::uint32_t trial = 0; trial < 1000; ++trial) {
    const Limits limits = random_limits(trial);
    const double low = limits.low, high = limits.high;
    const int intervals = 2 + static_cast<int>(trial % 9);
    const Ticks ticks = linear_ticks_with(low, high, intervals);
    INFO(low, " ", high, " ", intervals);
    REQUIRE(ticks.major.size() == static_cast<std::size_t>(intervals + 1));
    const double step = ticks.major[1] - ticks.major[0];
    CHECK(is_round_step(step));
    CHECK(ticks.low <= low + 1e-5 * step);
    CHECK(ticks.high >= high - 1e-5 * step);
  }
}

TEST_CASE("logarithmic ticks cover the range and ascend") {
  for (std::uint32_t trial = 0; trial < 2000; ++trial) {
    PhiloxStream random(8, Purpose::shuffle, trial, 0, 0);
    const auto uniform = [&] { return random.next_below(1u << 30) / static_cast<double>(1u << 30); };
    const double low = std::pow(10.0, 60 * uniform() - 30);
    const double high = low * std::pow(10.0, (trial % 2 == 0 ? 2 : 25) * uniform());
    const int most = 3 + static_cast<int>(trial % 10);
    const Ticks ticks = log_ticks(low, high, most);
    INFO(low, " ", high, " ", most);
    REQUIRE(ticks.major.size() >= 2);
    CHECK(ticks.major.size() <= static_cast<std::size_t>(most));
    CHECK(ticks.labels.size() == ticks.major.size());
    CHECK(ticks.low > 0);
    CHECK(ticks.low <= low * 1.00001);
    CHECK(ticks.high >= high * 0.99999);
    for (std::size_t i = 1; i < ticks.major.size(); ++i) CHECK(ticks.major[i] > ticks.major[i - 1]);
    CHECK(std::set(ticks.labels.begin(), ticks.labels.end()).size() == ticks.labels.size());
    for (const double minor : ticks.minor) CHECK((minor > ticks.low && minor < ticks.high));
  }
}

TEST_CASE("labels of logarithmic ticks") {
  using Labels = std::vector<std::string>;
  CHECK(log_ticks(0.001, 0.1, 9).labels == Labels{"0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1"});
  CHECK(log_ticks(0.002, 3000, 9).labels ==
        Labels{"0.001", "0.01", "0.1", "1", "10", "100", "1000", "10000"});
  CHECK(log_ticks(3e-7, 0.5, 9).labels ==
        Labels{"10⁻⁷", "10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰"});
  CHECK(log_ticks(2e-7, 3e-6, 9).labels == Labels{"2×10⁻⁷", "5×10⁻⁷", "10⁻⁶", "2×10⁻⁶", "5×10⁻⁶"});
  CHECK(log_ticks(1e-30, 1e30, 5).labels == Labels{"10⁻³⁰", "10⁻¹⁵", "10⁰", "10¹⁵", "10³⁰"});
  CHECK(log_ticks(2, 4, 5).labels == Labels{"2.0", "2.5", "3.0", "3.5", "4.0"});
}

TEST_CASE("axis limits that are set are kept, others follow the data") {
  Axis axis;
  axis.min = 0.05;
  const Ticks from_min = axis_ticks(axis, {0.3, 0.92}, 6, false);
  CHECK(from_min.low == 0.05);
  CHECK(from_min.high == 1.0);
  CHECK(from_min.major.front() > 0.05);
  axis.max = 0.5;
  const Ticks both = axis_ticks(axis, {0.3, 0.92}, 6, false);
  CHECK(both.low == 0.05);
  CHECK(both.high == 0.5);
  CHECK(both.major.back() <= 0.5);

  for (const double limit : {-5.0, 0.0, 5.0, 1e300, -1e300}) {  // all data beyond the one limit
    for (const Range data : {Range{1, 2}, Range{-2, -1}, Range{0, 0}, Range{}}) {
      Axis low_set, high_set;
      low_set.min = limit;
      high_set.max = limit;
      const Ticks above = axis_ticks(low_set, data, 6, false), below = axis_ticks(high_set, data, 6, false);
      INFO(limit);
      CHECK(above.low == limit);
      CHECK(above.low < above.high);
      CHECK(below.high == limit);
      CHECK(below.low < below.high);
    }
  }
}

TEST_CASE("ticks that are asked for stand where they were asked for, as many as have room") {
  Axis axis{.label = "samples a step", .logarithmic = true, .ticks = {8, 16, 32, 64, 0.5e6}};
  const Ticks all = axis_ticks(axis, {8, 0.5e6}, 10, true);
  CHECK(all.major == axis.ticks);
  CHECK(all.labels == std::vector<std::string>{"8", "16", "32", "64", "500000"});
  CHECK(all.minor.empty());
  CHECK(all.multiplier.empty());
  CHECK((all.low == 8 && all.high == 0.5e6));
  CHECK(axis_ticks(axis, {8, 0.5e6}, 3, true).major == std::vector<double>{8, 32, 0.5e6});
  CHECK(axis_ticks(axis, {16, 64}, 10, true).major == std::vector<double>{16, 32, 64});
  axis.ticks = {64};
  const Ticks one = axis_ticks(axis, {64, 64}, 10, true);
  CHECK(one.major == axis.ticks);
  CHECK((one.low < 64 && one.high > 64));
  axis.ticks = {8, 8};
  CHECK_THROWS_AS(axis_ticks(axis, {8, 16}, 10, true), const dpll::Error&);
  axis.ticks = {0, 8};
  CHECK_THROWS_AS(axis_ticks(axis, {8, 16}, 10, true), const dpll::Error&);
}

TEST_CASE("a snug axis ends with the data where the next tick is far") {
  Axis epochs;
  epochs.integer_ticks = true;
  CHECK(axis_ticks(epochs, {1, 200}, 12, true).low == 0);
  CHECK(axis_ticks(epochs, {1, 200}, 12, true).high == 200);
  CHECK(axis_ticks(epochs, {1, 211}, 8, true).high == 211);
  CHECK(axis_ticks(epochs, {1, 211}, 8, true).major.back() == 200);
  CHECK(axis_ticks(epochs, {1, 211}, 8, false).high > 211);
}

TEST_CASE("the right axis shares the grid of the left one when little is wasted") {
  const Ticks left = linear_ticks(0, 0.05, 9);
  REQUIRE(left.major.size() == 6);
  Axis right;
  const Ticks shared = right_axis_ticks(right, {0, 1}, 9, left);
  CHECK(shared.major.size() == 6);
  CHECK(shared.high == 1.0);
  const Ticks own =
      right_axis_ticks(right, {0, 10}, 3, linear_ticks(0, 0.7, 9));  // 7 steps up to 14 are too much
  CHECK(own.high == 10);
  right.max = 1;
  CHECK(right_axis_ticks(right, {0, 0.4}, 9, left).high == 1);
}

TEST_CASE("values that an axis cannot show") {
  Axis linear, logarithmic;
  logarithmic.logarithmic = true;
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {std::nan(""), infinity, -infinity, 1e301}) {
    CHECK_FALSE(showable(linear, value));
    CHECK_FALSE(showable(logarithmic, value));
  }
  CHECK(showable(linear, 0));
  CHECK(showable(linear, -3));
  CHECK_FALSE(showable(logarithmic, 0));
  CHECK_FALSE(showable(logarithmic, -3));
  CHECK(showable(logarithmic, 1e-30));
}
