// The processes that train one run together ("ranks"), and what they tell each other. On MPI:
// parallel/mpi_ranks.h; as threads of one process, for tests: support/thread_ranks.h.
//
// All functions but rank(), size(), local_rank(), local_size(), wait_until() and seconds_waited() are
// collective: every rank calls them in the same order with arguments that fit, from one thread. Everything is
// summed and merged in rank order, so that the same numbers have the same sum in every run and, bit by bit,
// on every rank.
//
// They throw Error where another rank has failed, has ended, or has not come within the time limit, with one
// line that names this rank and its host. The exit code is that of the failed rank where it said why, else
// ExitCode::device. After that the ranks cannot work together any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
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

  // all: [size, bytes], in rank order. `bytes` is the same on all ranks.
  virtual void all_gather(const void* own, std::size_t bytes, void* all) = 0;
  // Bytes of any number from each rank, in rank order.
  virtual std::vector<std::vector<std::uint8_t>> all_gather(const std::vector<std::uint8_t>& own) = 0;
  // Rank 0's bytes, on every rank.
  virtual void broadcast(void* data, std::size_t bytes) = 0;

  // values[i] becomes the sum of the ranks' values[i], added in double and rounded once. A started sum goes
  // on while the caller computes; its values may be touched again when wait() has returned. Sums are started
  // in the same order on all ranks, but may be waited for in any; other collective functions may come
  // between. A sum that is destroyed without a wait() goes on without its values. At most kMostSums are under
  // way.
  class Sum {
   public:
    virtual ~Sum() = default;
    virtual void wait() = 0;
    // Moves all started sums on where the library does not do so by itself, and throws as wait() does. Not
    // collective.
    virtual void progress() = 0;
  };
  static constexpr int kMostSums = 64;
  virtual std::unique_ptr<Sum> start_sum(float* values, std::int64_t count) = 0;
  virtual std::unique_ptr<Sum> start_sum(double* values, std::int64_t count) = 0;

  // Returns when done() is true, which another thread or a GPU brings about. Throws as the collective
  // functions do, but is none of them: other ranks may do something else, and seconds_waited() does not count
  // it.
  virtual void wait_until(const std::function<bool()>& done) = 0;

  // Seconds that this rank has waited in collective functions.
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
