// The processes that train one run together ("ranks"), and what they tell each other. All functions but the
// first four are collective: every rank calls them in the same order with arguments that fit. Everything is
// summed and merged in rank order, so that the same numbers have the same sum in every run and on every rank.
//
// They throw Error(ExitCode::device) with one line that names rank and host where another rank has ended, or
// has not come within the time limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dpll {

class Ranks {
 public:
  virtual ~Ranks() = default;
  virtual int rank() const = 0;  // from 0
  virtual int size() const = 0;
  // Among the ranks of this machine.
  virtual int local_rank() const = 0;
  virtual int local_size() const = 0;

  // all: [size, bytes], in rank order.
  virtual void all_gather(const void* own, std::size_t bytes, void* all) = 0;
  // Bytes of any number from each rank.
  virtual std::vector<std::vector<std::uint8_t>> all_gather(const std::vector<std::uint8_t>& own) = 0;
  // Rank 0's bytes, on every rank.
  virtual void broadcast(void* data, std::size_t bytes) = 0;

  // values[i] becomes the sum of the ranks' values[i]. A started sum goes on while the caller computes; its
  // values may be touched again when wait() has returned. At most kMostSums are under way.
  class Sum {
   public:
    virtual ~Sum() = default;
    virtual void wait() = 0;
    virtual void progress() = 0;  // moves it on where the library does not do so by itself
  };
  static constexpr int kMostSums = 64;
  virtual std::unique_ptr<Sum> start_sum(float* values, std::int64_t count) = 0;
  virtual std::unique_ptr<Sum> start_sum(double* values, std::int64_t count) = 0;

  // Seconds that this rank has waited in collectives.
  virtual double seconds_waited() const = 0;
};

// Of `count` things in order, where those of `rank` begin: shares differ by one at most, and those of rank
// `ranks` would begin at the end.
inline std::int64_t share_begin(std::int64_t count, int rank, int ranks) {
  return count * rank / ranks;
}
inline int share_begin(int count, int rank, int ranks) {
  return static_cast<int>(share_begin(std::int64_t{count}, rank, ranks));
}

}  // namespace dpll
