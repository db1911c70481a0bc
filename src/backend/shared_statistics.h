// Batch norm's numbers that several ranks share, for backends whose memory is the host's. All of these
// functions are collective.
#pragma once

#include <cstdint>
#include <vector>

#include "dpll/ranks.h"

namespace dpll {

// moments: [V, 2, C], means and centred sums of squares of this rank's `rows` rows of each view; they become
// those of all ranks, merged in rank order (Chan, Golub & LeVeque 1983, equation 2.1).
void merge_moments(Ranks& ranks, std::vector<double>& moments, std::int64_t rows, int views,
                   std::int64_t channels);

// Sums that are of all ranks when finish() returns; without ranks, what was set. T: float or double. set()
// may be called by several threads, for different places.
template <typename T>
class SharedSums {
 public:
  SharedSums(Ranks* ranks, T* sums, std::int64_t count)
      : ranks_(ranks), sums_(sums), own_(static_cast<std::size_t>(ranks != nullptr ? count : 0)) {}

  void set(std::int64_t at, double value) {
    if (ranks_ == nullptr) {
      sums_[at] = static_cast<T>(value);
    } else {
      own_[static_cast<std::size_t>(at)] = value;
    }
  }
  void finish() {
    if (ranks_ == nullptr) return;
    ranks_->start_sum(own_.data(), static_cast<std::int64_t>(own_.size()))->wait();
    for (std::size_t i = 0; i < own_.size(); ++i) sums_[i] = static_cast<T>(own_[i]);
  }

 private:
  Ranks* ranks_;
  T* sums_;
  std::vector<double> own_;
};

}  // namespace dpll
