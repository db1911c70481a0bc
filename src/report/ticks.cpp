#include "report/ticks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string_view>

#include "dpll/core/check.h"

namespace dpll::report {
namespace {

constexpr std::array kMantissas = {1.0, 2.0, 2.5, 5.0};
// Indices of ticks are computed in double. The tolerance, in steps, makes sure that a value like 0.3 / 0.1 =
// 2.9999999999999996 does not lose a tick.
constexpr double kTolerance = 1e-6;
// A range smaller than this part of the larger limit counts as one value, because its labels would need too
// many digits.
constexpr double kSmallestRange = 1e-8;

// mantissa * 10^exponent
struct Step {
  double mantissa;
  int exponent;

  double times(double index) const {
    // Dividing by an exact power of ten gives the double nearest to the decimal number; multiplying by 0.1
    // does not.
    return exponent >= 0 ? index * mantissa * std::pow(10.0, exponent)
                         : index * mantissa / std::pow(10.0, -exponent);
  }
  double size() const { return times(1); }
  double first_at_or_below(double low) const { return std::floor(low / size() + kTolerance); }
  double last_at_or_above(double high) const { return std::ceil(high / size() - kTolerance); }
};

// Calls try_step with larger and larger round steps, beginning at or below `smallest`, until it gives ticks.
template <typename TryStep>
Ticks first_that_fits(double smallest, bool integers, TryStep&& try_step) {
  for (int exponent = static_cast<int>(std::floor(std::log10(smallest)));; ++exponent) {
    for (const double mantissa : kMantissas) {
      const Step step{mantissa, exponent};
      if (step.size() < smallest * (1 - kTolerance)) continue;
      if (integers && (exponent < 0 || (exponent == 0 && mantissa == 2.5))) continue;
      if (std::optional<Ticks> ticks = try_step(step)) return *ticks;
    }
  }
}

std::string superscript(int number) {
  constexpr std::array<std::string_view, 10> digits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text;
  for (const char c : std::to_string(number))
    text += c == '-' ? "⁻" : digits[static_cast<std::size_t>(c - '0')];
  return text;
}

std::string decimal(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (text[0] == '-') text.replace(0, 1, "\u2212");
  return text;
}

int decade_of(double value) {
  return static_cast<int>(std::floor(std::log10(value) + kTolerance));
}

// The number of digits after the point for multiples of this step, in units of 10^shift.
int decimals(const Step& step, int shift) {
  return std::max(0, shift - step.exponent + (step.mantissa == 2.5 ? 1 : 0));
}

void label_linear(Ticks& ticks, const Step& step) {
  const double largest = std::max(std::abs(ticks.low), std::abs(ticks.high));
  int shift = 0;  // labels show value / 10^shift
  if (largest >= 1e6 || largest < 1e-3) {
    shift = decade_of(largest);
    ticks.multiplier = "×10" + superscript(shift);
  }
  for (const double value : ticks.major) {
    ticks.labels.push_back(decimal(value / std::pow(10.0, shift), decimals(step, shift)));
  }
}

Ticks spaced(const Step& step, double first, double last) {
  Ticks ticks;
  const int count = static_cast<int>(last - first) + 1;
  for (int i = 0; i < count; ++i) ticks.major.push_back(step.times(first + i));
  ticks.low = ticks.major.front();
  ticks.high = ticks.major.back();
  label_linear(ticks, step);
  return ticks;
}

// Widens an empty range or a range of one value.
void widen(double& low, double& high, bool integers) {
  const double largest = std::max(std::abs(low), std::abs(high));
  if (largest < 1e-290) {
    low = 0;
    high = 1;
  } else if (high - low <= largest * kSmallestRange) {
    // One value: from zero to twice the value, which also shows its magnitude.
    const double middle = low;
    low = std::min(0.0, 2 * middle);
    high = std::max(0.0, 2 * middle);
  }
  if (integers && high - low < 1) high = low + 1;
}

}  // namespace

Ticks linear_ticks(double low, double high, int most, bool integers) {
  DPLL_CHECK(low <= high && low >= -kLargest && high <= kLargest, "axis from {} to {}", low, high);
  widen(low, high, integers);
  most = std::max(3, most);  // with two, no step fits a range around zero
  return first_that_fits((high - low) / most, integers, [&](const Step& step) -> std::optional<Ticks> {
    const double first = step.first_at_or_below(low), last = step.last_at_or_above(high);
    if (last - first + 1 > most) return std::nullopt;
    return spaced(step, first, last);
  });
}

Ticks linear_ticks_with(double low, double high, int intervals) {
  DPLL_CHECK(low <= high && low >= -kLargest && high <= kLargest && intervals > 1,
             "axis from {} to {} in {} intervals", low, high, intervals);
  widen(low, high, false);
  return first_that_fits((high - low) / intervals, false, [&](const Step& step) -> std::optional<Ticks> {
    const double first = step.first_at_or_below(low);
    if (step.last_at_or_above(high) > first + intervals) return std::nullopt;
    return spaced(step, first, first + intervals);
  });
}

namespace {

struct LogTick {
  int mantissa, exponent;

  double value() const { return Step{static_cast<double>(mantissa), exponent}.size(); }
};

std::string log_label(const LogTick& tick, bool plain) {
  if (plain) return fmt::format("{:.{}f}", tick.value(), std::max(0, -tick.exponent));
  const std::string power = "10" + superscript(tick.exponent);
  return tick.mantissa == 1 ? power : fmt::format("{}×{}", tick.mantissa, power);
}

// Ticks at mantissas * 10^(every n-th exponent): the last at or below `low` to the first at or above `high`.
std::vector<LogTick> log_around(double low, double high, const std::vector<int>& mantissas, int every) {
  std::vector<LogTick> around;
  const int begin = static_cast<int>(std::floor(static_cast<double>(decade_of(low)) / every)) * every;
  for (int exponent = begin;; exponent += every) {
    for (const int mantissa : mantissas) {
      const LogTick tick{mantissa, exponent};
      if (tick.value() <= low * (1 + kTolerance)) around.clear();
      around.push_back(tick);
      if (around.size() > 1 && tick.value() >= high * (1 - kTolerance)) return around;
    }
  }
}

Ticks log_spaced(double low, double high, const std::vector<int>& mantissas, int every) {
  const std::vector<LogTick> around = log_around(low, high, mantissas, every);
  const bool plain = std::all_of(around.begin(), around.end(), [](const LogTick& tick) {
    return tick.exponent >= -4 && tick.exponent <= 4;
  });
  Ticks ticks;
  for (const LogTick& tick : around) {
    ticks.major.push_back(tick.value());
    ticks.labels.push_back(log_label(tick, plain));
  }
  ticks.low = ticks.major.front();
  ticks.high = ticks.major.back();
  // Minor ticks: multiples between neighbouring decades, or the decades that have no major tick.
  for (int exponent = around.front().exponent; exponent <= around.back().exponent; ++exponent) {
    for (int mantissa = 1; mantissa <= (every == 1 ? 9 : 1); ++mantissa) {
      const double value = LogTick{mantissa, exponent}.value();
      if (std::find(ticks.major.begin(), ticks.major.end(), value) != ticks.major.end()) continue;
      if (value > ticks.low && value < ticks.high) ticks.minor.push_back(value);
    }
  }
  return ticks;
}

}  // namespace

Ticks log_ticks(double low, double high, int most) {
  DPLL_CHECK(low >= kSmallestLog && low <= high && high <= kLargestLog, "logarithmic axis from {} to {}", low,
             high);
  most = std::max(3, most);
  if (high <= low * (1 + kSmallestRange)) {
    low /= 2;
    high *= 2;
  }
  const double decades = std::log10(high / low);
  if (decades < 0.5) {
    Ticks ticks = linear_ticks(low, high, most);
    if (ticks.low > 0) return ticks;
  }
  if (decades < 3) {
    Ticks ticks = log_spaced(low, high, {1, 2, 5}, 1);
    if (ticks.major.size() <= static_cast<std::size_t>(most)) return ticks;
  }
  for (int every = 1;; ++every) {
    Ticks ticks = log_spaced(low, high, {1}, every);
    if (ticks.major.size() <= static_cast<std::size_t>(most)) return ticks;
  }
}

Ticks cropped(Ticks ticks, double low, double high) {
  const double slack = (high - low) * kTolerance;
  const auto outside = [&](double value) { return value < low - slack || value > high + slack; };
  Ticks kept;
  kept.low = low;
  kept.high = high;
  kept.multiplier = std::move(ticks.multiplier);
  for (std::size_t i = 0; i < ticks.major.size(); ++i) {
    if (outside(ticks.major[i])) continue;
    kept.major.push_back(ticks.major[i]);
    kept.labels.push_back(std::move(ticks.labels[i]));
  }
  for (const double value : ticks.minor) {
    if (!outside(value)) kept.minor.push_back(value);
  }
  return kept;
}

}  // namespace dpll::report
