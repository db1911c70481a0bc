#include "train/rank_devices.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backend/gpu_port.h"
#include "backend/make_backend.h"
#include "dpll/core/check.h"
#include "train/run_device.h"

namespace dpll {
namespace {

// The GPU of this rank as CUDA counts those that it can see; -1: none, or none is asked for.
int gpu_of_rank(const RunConfig::Run& run, const Ranks& ranks) {
  if (run.device == DeviceChoice::cpu || gpu_port() == nullptr) return -1;
  const bool automatic = run.device == DeviceChoice::automatic;
  if (run.gpu >= 0 && ranks.local_size() > 1) {
    fail(ExitCode::config,
         "run.device = cuda:{}: the launcher has started {} ranks on this machine, and each needs a GPU of "
         "its "
         "own; expected cuda, with which rank n of a machine takes its GPU n",
         run.gpu, ranks.local_size());
  }
  if (run.gpu >= 0) return run.gpu;
  int gpus = 0;
  try {
    gpus = static_cast<int>(gpu_port()->list().size());
  } catch (const Error&) {
    if (!automatic) throw;
    return -1;
  }
  if (gpus >= ranks.local_size()) return ranks.local_rank();
  if (gpus == 1) return 0;  // launchers may show each rank one of several
  fail(ExitCode::device,
       "{} ranks were started on this machine, which has {} GPUs: expected a rank for each GPU, or "
       "run.device = cpu",
       ranks.local_size(), gpus);
}

// What the others are told.
struct Told {
  char host[256] = {};
  char gpu[128] = {};  // its UUID; empty: the rank trains on CPUs
};

Told own_device(const RunConfig::Run& run) {
  Told own;
  gethostname(own.host, sizeof own.host - 1);
  if (!uses_gpu(run)) return own;
  for (const GpuFacts& gpu : gpu_port()->list()) {
    if (gpu.index == gpu_index(run)) gpu.uuid.copy(own.gpu, sizeof own.gpu - 1);
  }
  return own;
}

void check_devices(const std::vector<Told>& all) {
  const auto has_gpu = [&](std::size_t rank) { return all[rank].gpu[0] != 0; };
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (has_gpu(rank) != has_gpu(0)) {
      const std::size_t with = has_gpu(0) ? 0 : rank, without = has_gpu(0) ? rank : 0;
      fail(ExitCode::device,
           "rank {} on {} has no usable GPU, rank {} on {} has one: expected one for each rank, or "
           "run.device = cpu",
           without, all[without].host, with, all[with].host);
    }
    for (std::size_t other = 0; other < rank && has_gpu(rank); ++other) {
      if (std::string(all[rank].gpu) != all[other].gpu || std::string(all[rank].host) != all[other].host)
        continue;
      fail(ExitCode::device, "ranks {} and {} on {} have the same GPU ({}): expected one for each", other,
           rank, all[rank].host, all[rank].gpu);
    }
  }
}

}  // namespace

std::string decide_rank_device(RunConfig& config, const RunFolder& folder, Log& log, bool resumes,
                               Ranks& ranks) {
  const int gpu = gpu_of_rank(config.run, ranks);
  if (gpu >= 0) config.run.gpu = gpu;
  // What is tested is what this rank will run: its share of the batch.
  RunConfig of_rank = config;
  of_rank.optimiser.batch = std::max(1, (config.optimiser.batch + ranks.size() - 1) / ranks.size());
  std::string choices = decide_run_device(of_rank, folder, log, resumes);
  config.run = of_rank.run;
  std::vector<Told> all(static_cast<std::size_t>(ranks.size()));
  const Told own = own_device(config.run);
  ranks.all_gather(&own, sizeof own, all.data());
  check_devices(all);
  return choices;
}

}  // namespace dpll
