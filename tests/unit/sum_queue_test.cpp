// The order of the operations of sums, on a made-up MPI whose operations end when the test says so. The real
// ones end in any order: tests/cli/mpi_test.cpp.
#include "parallel/sum_queue.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dpll/core/check.h"
#include "support/doctest.h"

using namespace dpll;

namespace {

// Rank 0 of two. The values of rank 1 are twice those of rank 0, so the sums are three times as large.
struct MadeUpMpi {
  struct Operation {
    int channel;
    float first;  // of the values that it sends: which sum it is for
    bool done = false;
  };
  std::vector<Operation> operations;

  void start(int channel, const void* own) {
    operations.push_back({channel, *static_cast<const float*>(own)});
  }
  // The sums whose second half has been started, by their first value.
  std::vector<float> gathers() const {
    std::vector<float> sums;
    for (const Operation& operation : operations) {
      if (operation.channel == kDpllMpiGather) sums.push_back(operation.first / 3);
    }
    return sums;
  }
  void end(int channel, float first) {
    for (Operation& operation : operations) {
      if (operation.channel == channel && operation.first == first) operation.done = true;
    }
  }
  void end_all() {
    for (Operation& operation : operations) operation.done = true;
  }
};
MadeUpMpi* g_mpi = nullptr;

void* request_of_last() {
  return new std::size_t(g_mpi->operations.size() - 1);
}

int made_up_all_to_all(int channel, const void* own, const int* own_counts, const int*, void* all,
                       const int* counts, const int* places, void** request) {
  g_mpi->start(channel, own);
  const auto* const mine = static_cast<const float*>(own);
  auto* const parts = static_cast<float*>(all);
  CHECK(own_counts[0] == counts[0]);
  CHECK(counts[0] == counts[1]);
  const std::size_t share = counts[0] / sizeof(float), second = places[1] / sizeof(float);
  for (std::size_t i = 0; i < share; ++i) {
    parts[i] = mine[i];
    parts[second + i] = 2 * mine[i];
  }
  *request = request_of_last();
  return 0;
}

int made_up_all_gather(int channel, const void* own, int bytes, void* all, const int* counts,
                       const int* places, void** request) {
  g_mpi->start(channel, own);
  const auto* const mine = static_cast<const float*>(own);
  auto* const target = static_cast<float*>(all);
  const std::size_t share = bytes / sizeof(float), second = places[1] / sizeof(float);
  CHECK(counts[0] == bytes);
  std::copy_n(mine, share, target);
  for (std::size_t i = 0; i < counts[1] / sizeof(float); ++i) {
    // The other rank's share lies where its values were, or all of its values behind this rank's.
    target[second + i] = channel == kDpllMpiGather ? 3 * target[second + i] : 2 * mine[i];
  }
  *request = request_of_last();
  return 0;
}

int made_up_test(void** request, int* done) {
  auto* const number = static_cast<std::size_t*>(*request);
  *done = g_mpi->operations[*number].done ? 1 : 0;
  if (*done != 0) {
    delete number;
    *request = nullptr;
  }
  return 0;
}

// Sums of rank 0 on a made-up MPI.
class MadeUpSums {
 public:
  MadeUpSums() : queue_(table(), 0, 2, [](int error, const char*) { CHECK(error == 0); }) { g_mpi = &mpi; }
  ~MadeUpSums() { g_mpi = nullptr; }

  // Values that begin with `first`.
  std::vector<float>& start(float first, std::int64_t count) {
    values_.push_back(std::make_unique<std::vector<float>>(count, 1.0F));
    (*values_.back())[0] = first;
    for (auto& piece : queue_.start(values_.back()->data(), count)) pieces.push_back(std::move(piece));
    return *values_.back();
  }
  void advance() { queue_.advance(); }
  bool all_done() {
    return std::all_of(pieces.begin(), pieces.end(), [](const auto& piece) { return piece->done(); });
  }
  void finish() {
    for (int round = 0; round < 100 && !queue_.empty(); ++round) {
      mpi.end_all();
      advance();
    }
    CHECK(queue_.empty());
  }

  MadeUpMpi mpi;
  std::vector<std::shared_ptr<SumQueue::Piece>> pieces;

 private:
  static const DpllMpiTable& table() {
    static const DpllMpiTable made_up = [] {
      DpllMpiTable functions = {};
      functions.all_gather = made_up_all_gather;
      functions.all_to_all = made_up_all_to_all;
      functions.test = made_up_test;
      return functions;
    }();
    return made_up;
  }

  std::vector<std::unique_ptr<std::vector<float>>> values_;
  SumQueue queue_;
};

constexpr std::int64_t kTwoHalves = 5000;       // too many values for a single gather
constexpr std::int64_t kPiece = (4 << 20) / 4;  // floats of a piece

void check_tripled(const std::vector<float>& values, float first) {
  CHECK(values[0] == 3 * first);
  CHECK(std::count(values.begin() + 1, values.end(), 3.0F) == static_cast<std::int64_t>(values.size()) - 1);
}

}  // namespace

TEST_CASE("sums of ranks: the second halves begin in the order of the sums, whatever arrives first") {
  MadeUpSums sums;
  const std::vector<float>& a = sums.start(10, kTwoHalves);
  const std::vector<float>& b = sums.start(20, kTwoHalves);
  const std::vector<float>& c = sums.start(30, kTwoHalves);
  sums.mpi.end(kDpllMpiScatter, 30);
  sums.advance();
  CHECK(sums.mpi.gathers().empty());
  sums.mpi.end(kDpllMpiScatter, 10);
  sums.advance();
  CHECK(sums.mpi.gathers() == std::vector<float>{10});
  sums.mpi.end(kDpllMpiScatter, 20);
  sums.advance();
  CHECK(sums.mpi.gathers() == std::vector<float>{10, 20, 30});
  // They end in any order, and each sum is there when it has ended.
  sums.mpi.end(kDpllMpiGather, 60);
  sums.advance();
  CHECK_FALSE(sums.pieces[0]->done());
  CHECK(sums.pieces[1]->done());
  CHECK(a[0] == 10);
  check_tripled(b, 20);
  sums.finish();
  check_tripled(a, 10);
  check_tripled(c, 30);
}

TEST_CASE("sums of ranks: few values need one gather, which does not wait for the sums before it") {
  MadeUpSums sums;
  const std::vector<float>& large = sums.start(10, kTwoHalves);
  const std::vector<float>& few = sums.start(20, 3);
  sums.mpi.end(kDpllMpiScatter, 20);
  sums.advance();
  check_tripled(few, 20);
  CHECK(large[0] == 10);
  CHECK(sums.mpi.gathers().empty());
  sums.finish();
  check_tripled(large, 10);
}

TEST_CASE("sums of ranks: a large sum travels in pieces, a few at a time") {
  MadeUpSums sums;
  const std::vector<float>& values = sums.start(10, 11 * kPiece + 7);
  CHECK(sums.pieces.size() == 12);
  CHECK(sums.mpi.operations.size() == 8);
  sums.finish();
  check_tripled(values, 10);
}

TEST_CASE("sums of ranks: one that nobody waits for goes on without its values") {
  MadeUpSums sums;
  const std::vector<float>& values = sums.start(10, kTwoHalves);
  sums.pieces[0]->abandon();
  sums.finish();
  CHECK(sums.all_done());
  CHECK(values[0] == 10);
}

TEST_CASE("sums of ranks: the order is that of the ranks, in double, rounded once") {
  // In float the small values are lost.
  const std::vector<float> parts = {1e8F, 1.0F, 3.0F, -1e8F};
  float sum = 0;
  add_in_rank_order(parts.data(), 4, 1, &sum);
  CHECK(sum == 4.0F);
  const std::vector<double> doubles = {1.0, 1e300, 1e16, -1e300, 1.0, 1.0, -1e16, 0.0};
  std::vector<double> sums(2);
  add_in_rank_order(doubles.data(), 4, 2, sums.data());
  CHECK(sums[0] == ((1.0 + 1e16) + 1.0) - 1e16);
  CHECK(sums[1] == ((1e300 - 1e300) + 1.0) + 0.0);
}
