// What mpirun and srun start for tests/cli/mpi_test.cpp: one rank. Rank 0 prints "done" when all was right.
//
// usage: dpll_rank_check PART [TIME_LIMIT]
//   collectives   gathers, broadcasts and sums, compared with what each rank can compute alone
//   killed RANK, killed_while_computing RANK, stopped RANK   the rank is ended or stopped by a signal
//   failed RANK   the rank has an error of its own
//   late RANK     the rank never joins
//   uneven RANK   the rank leaves without a word
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "parallel/launch.h"
#include "parallel/mpi_ranks.h"
#include "parallel/sum_queue.h"

namespace dpll {
namespace {

// Not the same for any two ranks, and of magnitudes so different that the sum depends on the order.
template <typename T>
std::vector<T> values_of(int rank, std::int64_t count) {
  std::vector<T> values(count);
  std::uint32_t state = 2654435761U * static_cast<std::uint32_t>(rank + 1);
  for (T& value : values) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<T>(std::ldexp(static_cast<double>(state >> 8) - 8e6, static_cast<int>(state % 60)));
  }
  return values;
}

template <typename T>
std::vector<T> expected_sum(int ranks, std::int64_t count) {
  std::vector<T> parts, sums(count);
  for (int rank = 0; rank < ranks; ++rank) {
    const std::vector<T> part = values_of<T>(rank, count);
    parts.insert(parts.end(), part.begin(), part.end());
  }
  add_in_rank_order(parts.data(), ranks, count, sums.data());
  return sums;
}

template <typename T>
void check_sum(const std::vector<T>& sums, int ranks, const std::string& what) {
  const std::vector<T> expected = expected_sum<T>(ranks, static_cast<std::int64_t>(sums.size()));
  if (std::memcmp(sums.data(), expected.data(), sums.size() * sizeof(T)) != 0) {
    fail(ExitCode::internal, "{}: {} values have another sum", what, sums.size());
  }
}

template <typename T>
void check_sums(Ranks& ranks, const std::string& type) {
  for (const std::int64_t count : {1, 7, 100003, 1100000}) {
    std::vector<T> values = values_of<T>(ranks.rank(), count);
    ranks.start_sum(values.data(), count)->wait();
    check_sum(values, ranks.size(), type);
  }
  // Several are under way, their ends come in another order than their starts, and other collectives come
  // between.
  std::vector<std::vector<T>> values;
  std::vector<std::unique_ptr<Ranks::Sum>> sums;
  for (const std::int64_t count : {200000, 3, 600000, 5000, 1, 70000}) {
    values.push_back(values_of<T>(ranks.rank(), count));
    sums.push_back(ranks.start_sum(values.back().data(), count));
    // Each rank is late at another place.
    if (static_cast<int>(sums.size()) % ranks.size() == ranks.rank()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    int all[64] = {};
    const int own = ranks.rank();
    ranks.all_gather(&own, sizeof own, all);
    for (int rank = 0; rank < ranks.size(); ++rank) DPLL_CHECK(all[rank] == rank, "rank {}", rank);
    sums.front()->progress();
  }
  for (std::size_t i = sums.size(); i-- > 0;) {
    sums[i]->wait();
    check_sum(values[i], ranks.size(), type + ", several at once");
  }
}

void check_collectives(Ranks& ranks) {
  const int rank = ranks.rank(), size = ranks.size();
  // Bytes of any number, none included; the third rank's need several transfers.
  const auto bytes_of = [](int of) {
    std::vector<std::uint8_t> bytes(of == 1 ? 0 : of == 2 ? 20000001 : 1000 + of);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 31 + of);
    return bytes;
  };
  const std::vector<std::vector<std::uint8_t>> all = ranks.all_gather(bytes_of(rank));
  for (int of = 0; of < size; ++of) DPLL_CHECK(all[of] == bytes_of(of), "gather of rank {}", of);
  const std::vector<double> own = {rank + 0.5, rank * 2.0};
  std::vector<double> gathered(2 * size);
  ranks.all_gather(own.data(), own.size() * sizeof(double), gathered.data());
  for (int of = 0; of < size; ++of) {
    DPLL_CHECK(gathered[2 * of] == of + 0.5 && gathered[2 * of + 1] == of * 2.0, "gather of rank {}", of);
  }
  for (const std::int64_t count : {0, 1, 1000, 2100000}) {
    std::vector<double> values = values_of<double>(rank, count);
    ranks.broadcast(values.data(), values.size() * sizeof(double));
    DPLL_CHECK(values == values_of<double>(0, count), "broadcast of {}", count);
  }
  check_sums<float>(ranks, "float");
  check_sums<double>(ranks, "double");
  DPLL_CHECK(ranks.seconds_waited() > 0, "no time was waited");
  DPLL_CHECK(ranks.local_size() >= 1 && ranks.local_rank() < ranks.local_size(), "local rank {}",
             ranks.local_rank());
}

void work_for(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void run_part(const std::string& part, int affected, MpiRanks& ranks) {
  double value = 1;
  ranks.start_sum(&value, 1)->wait();
  const bool mine = ranks.rank() == affected;
  if (part == "collectives") {
    check_collectives(ranks);
  } else if (part == "killed") {
    if (mine) std::raise(SIGKILL);
    for (;;) ranks.start_sum(&value, 1)->wait();
  } else if (part == "killed_while_computing") {
    if (mine) std::raise(SIGKILL);
    work_for(20);
  } else if (part == "stopped") {
    if (mine) std::raise(SIGSTOP);
    for (;;) ranks.start_sum(&value, 1)->wait();
  } else if (part == "failed") {
    if (mine) fail(ExitCode::data, "its file is damaged");
    for (;;) ranks.start_sum(&value, 1)->wait();
  } else if (part == "uneven") {
    if (mine) _exit(0);
    for (;;) ranks.start_sum(&value, 1)->wait();
  } else {
    fail(ExitCode::usage, "unknown part {}", part);
  }
}

// As the program does.
int run(const std::string& part, int affected, double time_limit) {
  std::signal(SIGTERM, SIG_IGN);  // the program ends in order after SIGTERM
  Launch launch;
  std::unique_ptr<MpiRanks> ranks;
  try {
    launch = read_launch();
    if (launch.size == 1) fail(ExitCode::usage, "this is for several ranks");
    const bool late = part == "late";
    if (late && launch.rank == affected) work_for(20);
    ranks = MpiRanks::join(launch, late ? time_limit : 60);
    ranks->set_time_limit(time_limit);
    run_part(part, affected, *ranks);
    ranks->finish();
    if (launch.rank == 0) {
      std::printf("done: %d ranks, %s\n", ranks->size(), ranks->library_version().c_str());
    }
    return 0;
  } catch (const Error& error) {
    const std::string line = ranks ? ranks->last_words(error) : last_words(launch, error);
    if (!line.empty()) std::fprintf(stderr, "dpll_engine: %s\n", line.c_str());
    if (ranks) ranks->abort(static_cast<int>(error.code()));
    return static_cast<int>(error.code());
  }
}

}  // namespace
}  // namespace dpll

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  return dpll::run(argv[1], argc > 2 ? std::atoi(argv[2]) : -1, argc > 3 ? std::atof(argv[3]) : 60);
}
