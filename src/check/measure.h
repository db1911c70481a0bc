// The distance of a backend's results from the expected ones, in units of the allowed error: see
// arithmetic.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backend/cpu/parallel.h"
#include "check/arithmetic.h"
#include "check/recording.h"

namespace dpll::check {

using Doubles = std::vector<double>;

// A tensor [outer, rows, channels]; the values with the same (outer, channel) are a group. Activations:
// [views, rows, channels]. Gradients of weights [out, ...]: [output channels, values, 1].
struct Groups {
  std::int64_t outer = 1, rows = 1, channels = 1;
  const char* outer_name = "view";

  std::int64_t count() const { return outer * channels; }
  std::int64_t elements() const { return outer * rows * channels; }
  std::size_t at(std::int64_t of_outer, std::int64_t row, std::int64_t channel) const {
    return static_cast<std::size_t>((of_outer * rows + row) * channels + channel);
  }
};

// Calls body(outer, first channel, channels) for strips of a few channels that together are all channels,
// with several threads.
template <typename Body>
void each_strip(const Groups& groups, const Body& body) {
  constexpr std::int64_t kChannelsAtOnce = 16;  // a cache line of floats
  const std::int64_t strips = (groups.channels + kChannelsAtOnce - 1) / kChannelsAtOnce;
  cpu::parallel_chunks(groups.outer * strips, 1, [&](std::int64_t i, std::int64_t) {
    const std::int64_t first = i % strips * kChannelsAtOnce;
    body(i / strips, first, std::min(kChannelsAtOnce, groups.channels - first));
  });
}

// The values of each group, [outer, channels].
struct Moments {
  Doubles sum, squares;
};
Moments moments_of(const Floats& values, const Groups& groups);
// Root mean square of each group.
Doubles root_mean_squares(const Floats& values, const Groups& groups);

struct Outcome {
  double worst = 0;          // largest error in units of its bound; infinite if there is a NaN
  std::string where;         // "view 1, channel 7" or "[3,0,2]"
  double got = 0, want = 0;  // at this place: root mean squares of the group, or values
};

// `error`: the root mean square error of each group that roundings explain; the bound follows from it.
// `left_out`: empty, or 1 for elements that are not compared.
Outcome compare_groups(const Floats& got, const Floats& want, const Groups& groups, const Doubles& error,
                       const std::vector<std::uint8_t>& left_out = {});

// Compares element by element; `allowed(i)` is the allowed error of element i, 0 for none.
Outcome compare_elements(const Floats& got, const Floats& want, const Shape& shape,
                         const std::function<double(std::int64_t)>& allowed);

}  // namespace dpll::check
