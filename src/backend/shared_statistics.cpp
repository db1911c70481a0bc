#include "backend/shared_statistics.h"

#include <algorithm>

namespace dpll {

void merge_moments(Ranks& ranks, std::vector<double>& moments, std::int64_t rows, int views,
                   std::int64_t channels) {
  // Each rank's number of rows, then its moments.
  const std::size_t count = moments.size() + 1;
  std::vector<double> own(count), all(count * static_cast<std::size_t>(ranks.size()));
  own[0] = static_cast<double>(rows);
  std::copy(moments.begin(), moments.end(), own.begin() + 1);
  ranks.all_gather(own.data(), count * sizeof(double), all.data());
  std::copy_n(all.begin() + 1, moments.size(), moments.begin());
  double merged = all[0];
  for (int rank = 1; rank < ranks.size(); ++rank) {
    const double* const of_rank = all.data() + static_cast<std::size_t>(rank) * count;
    const double n = of_rank[0], share = n / (merged + n);
    for (int view = 0; view < views; ++view) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto mean = static_cast<std::size_t>(view * 2 * channels + c),
                   square = mean + static_cast<std::size_t>(channels);
        const double delta = of_rank[1 + mean] - moments[mean];
        moments[mean] += delta * share;
        moments[square] += of_rank[1 + square] + delta * delta * (merged * share);
      }
    }
    merged += n;
  }
}

}  // namespace dpll
