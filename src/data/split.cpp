#include "data/split.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "dpll/core/philox.h"

namespace dpll {

namespace {

// 0..count-1 after the first `steps` steps of a Fisher-Yates shuffle.
std::vector<std::int64_t> random_order(std::int64_t count, std::int64_t steps, std::uint64_t seed,
                                       SplitPart part) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = 0; i < steps; ++i) {
    PhiloxStream random(seed, Purpose::split, static_cast<std::uint32_t>(part), static_cast<std::uint32_t>(i),
                        0);
    const std::int64_t other = i + random.next_below(static_cast<std::uint32_t>(count - i));
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(other)]);
  }
  return order;
}

// The entries [begin, end) of `order` and the others, both ascending.
Split cut(const std::vector<std::int64_t>& order, std::int64_t begin, std::int64_t end) {
  Split split;
  split.chosen.assign(order.begin() + begin, order.begin() + end);
  split.rest.assign(order.begin(), order.begin() + begin);
  split.rest.insert(split.rest.end(), order.begin() + end, order.end());
  std::sort(split.chosen.begin(), split.chosen.end());
  std::sort(split.rest.begin(), split.rest.end());
  return split;
}

}  // namespace

ImageSet select(const ImageSet& set, const std::vector<std::int64_t>& indices) {
  ImageSet out{.count = static_cast<std::int64_t>(indices.size()),
               .height = set.height,
               .width = set.width,
               .channels = set.channels,
               .pixels = {},
               .features = {},
               .labels = {}};
  if (!set.pixels.empty()) out.pixels = select_rows(set.pixels, set.image_bytes(), indices);
  if (!set.features.empty()) out.features = select_rows(set.features, set.image_bytes(), indices);
  if (set.has_labels()) out.labels = select_rows(set.labels, 1, indices);
  if (!set.truths.empty()) {
    out.truths = select_rows(set.truths, static_cast<std::int64_t>(set.truths.size()) / set.count, indices);
  }
  return out;
}

Split draw_split(std::int64_t count, std::int64_t chosen, std::uint64_t seed, SplitPart part) {
  return cut(random_order(count, chosen, seed, part), 0, chosen);
}

Split draw_fold(std::int64_t count, int folds, int fold, std::uint64_t seed) {
  return cut(random_order(count, count, seed, SplitPart::folds), fold * count / folds,
             (fold + 1) * count / folds);
}

std::vector<std::int64_t> long_tail_counts(std::int64_t count, int classes, double ratio) {
  std::vector<std::int64_t> sizes;
  for (int c = 0; c < classes; ++c) {
    // In the order of the published code, so that rounding gives the same sizes.
    const double share = std::pow(1 / ratio, c / (classes - 1.0));
    sizes.push_back(std::max<std::int64_t>(1, static_cast<std::int64_t>(double(count / classes) * share)));
  }
  return sizes;
}

std::vector<std::int64_t> draw_long_tail(const std::vector<std::int32_t>& labels,
                                         const std::vector<std::int64_t>& sizes, std::uint64_t seed) {
  const auto count = static_cast<std::int64_t>(labels.size());
  std::vector<std::int64_t> left = sizes, chosen;
  for (const std::int64_t i : random_order(count, count, seed, SplitPart::long_tail)) {
    std::int64_t& wanted = left[static_cast<std::size_t>(labels[static_cast<std::size_t>(i)])];
    if (wanted == 0) continue;
    --wanted;
    chosen.push_back(i);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace dpll
