// The ranks of threads that tests use in place of MPI.
#include "support/thread_ranks.h"

#include <atomic>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "parallel/sum_queue.h"
#include "support/doctest.h"
#include "support/error_of.h"

using namespace dpll;
using namespace dpll::test;

namespace {

// Values whose sum depends on the order.
template <typename T>
std::vector<T> values_of(int rank, int count) {
  std::vector<T> values(count);
  for (int i = 0; i < count; ++i) {
    values[i] = static_cast<T>(std::ldexp(1.0 + rank + 0.37 * i, (rank * 29 + i * 7) % 60));
  }
  return values;
}

template <typename T>
void check_sum(Ranks& ranks, int count) {
  std::vector<T> values = values_of<T>(ranks.rank(), count);
  const std::unique_ptr<Ranks::Sum> sum = ranks.start_sum(values.data(), count);
  CHECK(std::isnan(values[0]));
  sum->progress();
  sum->wait();
  for (int i = 0; i < count; ++i) {
    double expected = 0;
    for (int rank = 0; rank < ranks.size(); ++rank) expected += values_of<T>(rank, count)[i];
    CHECK(values[i] == static_cast<T>(expected));
  }
}

}  // namespace

TEST_CASE("ranks of threads: gathers, broadcasts and sums in rank order") {
  for (const int size : {1, 2, 3, 8}) {
    std::atomic<int> done = 0;
    run_ranks(size, [&](Ranks& ranks) {
      const int rank = ranks.rank();
      CHECK(ranks.size() == size);
      std::vector<int> all(size), expected(size);
      std::iota(expected.begin(), expected.end(), 0);
      ranks.all_gather(&rank, sizeof rank, all.data());
      CHECK(all == expected);
      const std::vector<std::vector<std::uint8_t>> bytes =
          ranks.all_gather(std::vector<std::uint8_t>(rank, static_cast<std::uint8_t>(rank)));
      for (int of = 0; of < size; ++of) {
        CHECK(bytes[of] == std::vector<std::uint8_t>(of, static_cast<std::uint8_t>(of)));
      }
      int value = rank + 5;
      ranks.broadcast(&value, sizeof value);
      CHECK(value == 5);
      check_sum<float>(ranks, 100);
      check_sum<double>(ranks, 100);
      // The ends may come in another order than the starts.
      std::vector<double> first = {1, 2}, second = {10};
      const auto sum = ranks.start_sum(first.data(), 2), other = ranks.start_sum(second.data(), 1);
      other->wait();
      sum->wait();
      CHECK(first == std::vector<double>{1.0 * size, 2.0 * size});
      CHECK(second == std::vector<double>{10.0 * size});
      ++done;
    });
    CHECK(done == size);
  }
}

TEST_CASE("ranks of threads: what one rank throws ends the others") {
  std::atomic<int> ended = 0;
  const Error error = error_of([&] {
    run_ranks(3, [&](Ranks& ranks) {
      if (ranks.rank() == 1) fail(ExitCode::data, "a damaged file");
      double value = 0;
      try {
        ranks.start_sum(&value, 1)->wait();
      } catch (const Error& other) {
        CHECK(other.code() == ExitCode::device);
        CHECK(contains(other, "rank 1 on this machine: a damaged file"));
        ++ended;
        throw;
      }
    });
  });
  CHECK(error.code() == ExitCode::data);
  CHECK(contains(error, "a damaged file"));
  CHECK(ended == 2);
}

TEST_CASE("ranks of threads: calls that do not fit each other are found") {
  const auto message_of = [](const std::function<void(Ranks&)>& work) {
    return std::string(error_of([&] { run_ranks(2, work); }).what());
  };
  int numbers[4] = {};
  const std::string gathers = message_of([&](Ranks& ranks) {
    int mine[4] = {};
    ranks.all_gather(numbers, ranks.rank() == 0 ? 4 : 8, mine);
  });
  CHECK(gathers.find("all_gather of 4 bytes") != std::string::npos);
  const std::string kinds = message_of([&](Ranks& ranks) {
    int mine[4] = {};
    if (ranks.rank() == 0) ranks.all_gather(numbers, 4, mine);
    if (ranks.rank() == 1) ranks.broadcast(mine, 4);
  });
  CHECK(kinds.find("broadcast of 4 bytes") != std::string::npos);
  const std::string sums = message_of([](Ranks& ranks) {
    double values[2] = {};
    ranks.start_sum(values, 1 + ranks.rank())->wait();
  });
  CHECK(sums.find("a sum of 2 values of 8 bytes") != std::string::npos);
  const std::string early = message_of([](Ranks& ranks) {
    double value = 0;
    if (ranks.rank() == 0) ranks.start_sum(&value, 1)->wait();
  });
  CHECK(early.find("rank 0 waits, but rank 1 has ended before the others") != std::string::npos);
  CHECK_THROWS_AS(run_ranks(2, [](Ranks&) { throw std::logic_error("not an Error"); }), std::logic_error);
}
