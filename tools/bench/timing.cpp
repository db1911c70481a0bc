#include "bench/timing.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace dpll::bench {

double wall_seconds_of(Backend& backend, const std::function<void()>& work) {
  backend.synchronize();
  const auto start = std::chrono::steady_clock::now();
  work();
  backend.synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Times summary_of(std::vector<double> times) {
  DPLL_CHECK(!times.empty(), "no times");
  std::sort(times.begin(), times.end());
  return {times.front(), times[times.size() / 2], times[times.size() * 9 / 10]};
}

Measurement measurement_of(const std::vector<std::vector<double>>& repetitions) {
  std::vector<double> all, medians;
  for (const std::vector<double>& times : repetitions) {
    medians.push_back(summary_of(times).median);
    all.insert(all.end(), times.begin(), times.end());
  }
  const auto [least, most] = std::minmax_element(medians.begin(), medians.end());
  Measurement result;
  result.seconds = summary_of(all);
  result.repetitions = static_cast<int>(repetitions.size());
  result.samples = static_cast<std::int64_t>(all.size());
  result.spread = medians.size() < 2 ? std::numeric_limits<double>::quiet_NaN()
                                     : (*most - *least) / result.seconds.median;
  return result;
}

}  // namespace dpll::bench
