#include "selftest/compare.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace dpll::selftest {
namespace {

// |got - want|, 0 for two NaNs or the same infinity, infinite where only one side is NaN or infinite.
double deviation(double got, double want) {
  if (std::isnan(got) && std::isnan(want)) return 0;
  if (got == want) return 0;
  if (!std::isfinite(got) || !std::isfinite(want)) return HUGE_VAL;
  return std::abs(got - want);
}

}  // namespace

std::string coordinate(const Shape& shape, std::int64_t i) {
  std::vector<std::int64_t> index(static_cast<std::size_t>(shape.rank()));
  for (int d = shape.rank() - 1; d >= 0; --d) {
    index[static_cast<std::size_t>(d)] = i % shape[d];
    i /= shape[d];
  }
  return fmt::format("[{}]", fmt::join(index, ","));
}

Deviation compare(const std::string& what, std::uint64_t seed, const HostTensor& got, const HostTensor& want,
                  const Tolerance& tolerance) {
  Deviation result;
  const std::string where = fmt::format("{} {}, seed {}", what, want.shape.to_string(), seed);
  if (got.shape != want.shape || got.elements() != want.elements() ||
      want.elements() != want.shape.elements()) {
    result.worst = HUGE_VAL;
    result.message = fmt::format("{}: got shape {} with {} values, want {} values", where,
                                 got.shape.to_string(), got.elements(), want.elements());
    return result;
  }
  double scale = 0;
  for (const double value : want.values) {
    if (std::isfinite(value)) scale = std::max(scale, std::abs(value));
  }
  result.allowed = tolerance.absolute + tolerance.relative * scale;

  std::int64_t bad = 0, first_bad = -1, worst_at = 0;
  for (std::int64_t i = 0; i < want.elements(); ++i) {
    const double off = deviation(got[i], want[i]);
    if (off > result.worst) {
      result.worst = off;
      worst_at = i;
    }
    if (off <= result.allowed) continue;
    if (bad++ == 0) first_bad = i;
  }
  if (bad > 0) {
    result.message = fmt::format(
        "{}: at {} got {:.9g}, want {:.9g}; {} of {} values off by more than {:.3g}; worst at {}: got "
        "{:.9g}, "
        "want {:.9g}, off by {:.3g}",
        where, coordinate(want.shape, first_bad), got[first_bad], want[first_bad], bad, want.elements(),
        result.allowed, coordinate(want.shape, worst_at), got[worst_at], want[worst_at], result.worst);
  }
  return result;
}

std::string difference(const std::string& what, std::uint64_t seed, const HostTensor& got,
                       const HostTensor& want, const Tolerance& tolerance) {
  return compare(what, seed, got, want, tolerance).message;
}

}  // namespace dpll::selftest
