// The training of a configuration, by this process alone or by the ranks that a launcher has started
// together.
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <vector>

#include "backend/cpu/usable_threads.h"
#include "cli/commands.h"
#include "dpll/core/check.h"
#include "io/text.h"
#include "parallel/launch.h"
#include "parallel/mpi_ranks.h"
#include "train/trainer.h"

namespace dpll {
namespace {

// The share of this rank in the cores that it may use, which the launcher may have given to it alone or to
// several.
int threads_of_rank(MpiRanks& ranks) {
  cpu_set_t own;
  CPU_ZERO(&own);
  sched_getaffinity(0, sizeof own, &own);
  std::vector<cpu_set_t> all(static_cast<std::size_t>(ranks.size()));
  ranks.all_gather(&own, sizeof own, all.data());
  int sharing = 0;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    cpu_set_t both;
    CPU_AND(&both, &own, &all[rank]);
    const bool here = ranks.hosts()[rank] == ranks.hosts()[static_cast<std::size_t>(ranks.rank())];
    sharing += here && CPU_COUNT(&both) > 0 ? 1 : 0;
  }
  return std::max(1, cpu::choose_threads(0).count / std::max(1, sharing));
}

// Ends all ranks: one that is alone in having failed would be waited for.
int end_with(const Launch& launch, MpiRanks* ranks, const Error& error) {
  const int code = static_cast<int>(error.code());
  const std::string line = ranks != nullptr ? ranks->last_words(error) : last_words(launch, error);
  if (!line.empty()) fmt::print(stderr, "dpll_engine: {}\n", escaped(line));
  if (ranks != nullptr) ranks->abort(code);
  return code;
}

int train_on_ranks(RunConfig config, const Launch& launch) {
  std::unique_ptr<MpiRanks> ranks;
  try {
    ranks = MpiRanks::join(launch, config.parallel.timeout);
    const int threads = threads_of_rank(*ranks);
    if (config.run.threads == 0) config.run.threads = threads;
    const int code = train(std::move(config), make_backend, ranks.get());
    ranks->finish();
    return code;
  } catch (const Error& error) {
    return end_with(launch, ranks.get(), error);
  } catch (const std::bad_alloc&) {
    return end_with(launch, ranks.get(), Error(ExitCode::device, "not enough memory"));
  } catch (const std::exception& error) {
    return end_with(launch, ranks.get(), Error(ExitCode::internal, error.what()));
  }
}

}  // namespace

int train_command(const std::function<RunConfig()>& load) {
  const Launch launch = read_launch();
  if (launch.size == 1) return train(load());
  RunConfig config;
  try {
    config = load();
  } catch (const Error& error) {
    // Most likely it is wrong for all of them.
    return end_with(launch, nullptr, error);
  }
  return train_on_ranks(std::move(config), launch);
}

}  // namespace dpll
