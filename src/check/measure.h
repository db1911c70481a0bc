// Distances between what a backend computed and what it should have, in units of what may be: see
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

// A tensor [outer, rows, channels]; the values of one (outer, channel) are a group. Activations: a view, its
// rows, channels. Gradients of weights [out, ...]: an output channel, its values, 1.
struct Groups {
  std::int64_t outer = 1, rows = 1, channels = 1;
  const char* outer_name = "view";

  std::int64_t count() const { return outer * channels; }
  std::int64_t elements() const { return outer * rows * channels; }
  std::size_t at(std::int64_t of_outer, std::int64_t row, std::int64_t channel) const {
    return static_cast<std::size_t>((of_outer * rows + row) * channels + channel);
  }
};

// body(outer, first channel, channels) for strips of a few channels, which together are all, spread over the
// threads.
template <typename Body>
void each_strip(const Groups& groups, const Body& body) {
  constexpr std::int64_t kChannelsAtOnce = 16;  // a cache line of floats
  const std::int64_t strips = (groups.channels + kChannelsAtOnce - 1) / kChannelsAtOnce;
  cpu::parallel_chunks(groups.outer * strips, 1, [&](std::int64_t i, std::int64_t) {
    const std::int64_t first = i % strips * kChannelsAtOnce;
    body(i / strips, first, std::min(kChannelsAtOnce, groups.channels - first));
  });
}

// Of each group, [outer, channels].
struct Moments {
  Doubles sum, squares;
};
Moments moments_of(const Floats& values, const Groups& groups);
// Root mean square of each group.
Doubles root_mean_squares(const Floats& values, const Groups& groups);

struct Outcome {
  double worst = 0;          // largest error in units of its bound; a NaN anywhere is infinite
  std::string where;         // "view 1, channel 7" or "[3,0,2]"
  double got = 0, want = 0;  // there: root mean squares of the group, or values
};

// `error`: of each group the root mean square error that roundings explain; the bound follows from it.
// `left_out`: empty, or 1 for elements that do not count.
Outcome compare_groups(const Floats& got, const Floats& want, const Groups& groups, const Doubles& error,
                       const std::vector<std::uint8_t>& left_out = {});

// Element by element; `allowed(i)` is how far element i may be off, 0: not at all.
Outcome compare_elements(const Floats& got, const Floats& want, const Shape& shape,
                         const std::function<double(std::int64_t)>& allowed);

}  // namespace dpll::check
